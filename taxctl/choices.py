"""States as people type them. A test keeps them equal to the contract's."""

from enum import StrEnum

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
