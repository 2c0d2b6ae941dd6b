"""States as people type them. A test keeps them equal to the contract's."""

from enum import StrEnum

from taxcontrol.admin.v1.alert_pb2 import Alert
from taxcontrol.v1.invoice_pb2 import Invoice


class StateChoice(StrEnum):
    """Where an invoice stands."""

    ISSUED = "issued"
    PARTLY_REVERSED = "partly-reversed"
    REVERSED = "reversed"
    VOIDED = "voided"
    BLANK_VOIDED = "blank-voided"

    @property
    def wire(self) -> Invoice.State.ValueType:
        """The contract's value."""
        return Invoice.State.Value(f"STATE_{self.name}")


class UploadChoice(StrEnum):
    """Where the upload of an invoice's last event stands."""

    PENDING = "pending"
    SUBMITTED = "submitted"
    IN_DOUBT = "in-doubt"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SIGNATURE_REJECTED = "signature-rejected"

    @property
    def wire(self) -> Invoice.UploadState.ValueType:
        """The contract's value."""
        return Invoice.UploadState.Value(f"UPLOAD_STATE_{self.name}")


class AlertKindChoice(StrEnum):
    """What an alert is about."""

    STOCK_LOW = "stock-low"
    STOCK_EXHAUSTED = "stock-exhausted"
    UNUPLOADED_COUNT = "unuploaded-count"
    UNUPLOADED_AMOUNT = "unuploaded-amount"
    UNUPLOADED_AGE = "unuploaded-age"
    OFFLINE_LIMIT_REACHED = "offline-limit-reached"
    UPLOAD_REJECTED = "upload-rejected"
    UPLOAD_IN_DOUBT = "upload-in-doubt"
    AUTHORITY_UNREACHABLE = "authority-unreachable"
    HSM_UNAVAILABLE = "hsm-unavailable"
    CERTIFICATE_EXPIRING = "certificate-expiring"
    CLOCK_SKEW = "clock-skew"
    PERIOD_DUE = "period-due"
    LEDGER_UNWRITABLE = "ledger-unwritable"

    @property
    def wire(self) -> Alert.Kind.ValueType:
        """The contract's value."""
        return Alert.Kind.Value(f"KIND_{self.name}")
