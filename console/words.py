"""What the contract's values are called, and what to do about them. Marked here, translated on show."""

from collections.abc import Mapping
from typing import Final

from console.languages import marked as _
from taxcontrol.admin.v1.alert_pb2 import Alert
from taxcontrol.admin.v1.offline_pb2 import (
    GRADE_OK,
    GRADE_RESTRICT,
    GRADE_STOP,
    GRADE_WARN,
    LimitUse,
)
from taxcontrol.admin.v1.period_pb2 import Period
from taxcontrol.v1.invoice_pb2 import Invoice
from taxcontrol.v1.invoice_query_pb2 import VerifyInvoiceResponse

# Grade: its tone (a class and an icon) and its word.
GRADES: Final[Mapping[int, tuple[str, str]]] = {
    GRADE_OK: ("ok", _("OK")),
    GRADE_WARN: ("warn", _("Warning")),
    GRADE_RESTRICT: ("restrict", _("Restricted")),
    GRADE_STOP: ("stop", _("Stopped")),
}
UNKNOWN: Final = ("none", _("Unknown"))

SEVERITIES: Final[Mapping[int, tuple[str, str]]] = {
    Alert.SEVERITY_WARNING: ("warn", _("Warning")),
    Alert.SEVERITY_SERIOUS: ("restrict", _("Serious")),
    Alert.SEVERITY_CRITICAL: ("stop", _("Critical")),
}
ALERT_STATES: Final[Mapping[int, str]] = {
    Alert.STATE_RAISED: _("Raised"),
    Alert.STATE_ACKNOWLEDGED: _("Acknowledged"),
    Alert.STATE_RESOLVED: _("Resolved"),
}
KINDS: Final[Mapping[int, str]] = {
    Alert.KIND_STOCK_LOW: _("Stock is low"),
    Alert.KIND_STOCK_EXHAUSTED: _("Stock is exhausted"),
    Alert.KIND_UNUPLOADED_COUNT: _("Many invoices are un-uploaded"),
    Alert.KIND_UNUPLOADED_AMOUNT: _("A large amount is un-uploaded"),
    Alert.KIND_UNUPLOADED_AGE: _("An invoice has been un-uploaded for long"),
    Alert.KIND_OFFLINE_LIMIT_REACHED: _("An offline limit is reached"),
    Alert.KIND_UPLOAD_REJECTED: _("The authority has refused uploads"),
    Alert.KIND_UPLOAD_IN_DOUBT: _("An upload has not been answered"),
    Alert.KIND_AUTHORITY_UNREACHABLE: _("The authority does not answer"),
    Alert.KIND_HSM_UNAVAILABLE: _("The signing device does not sign"),
    Alert.KIND_CERTIFICATE_EXPIRING: _("A certificate is about to expire"),
    Alert.KIND_CLOCK_SKEW: _("The clock is off"),
    Alert.KIND_PERIOD_DUE: _("A month is not summarised"),
    Alert.KIND_LEDGER_UNWRITABLE: _("The ledger cannot be written"),
}
WHAT_TO_DO: Final[Mapping[int, str]] = {
    Alert.KIND_STOCK_LOW: _(
        "Assign numbers from the pool to the point; when the pool is low too, draw from the"
        " authority first."
    ),
    Alert.KIND_STOCK_EXHAUSTED: _(
        "Nothing of this type is issued there. Draw and assign numbers now."
    ),
    Alert.KIND_UNUPLOADED_COUNT: _(
        "See whether uploads are paused or slowed down, and whether the authority answers."
    ),
    Alert.KIND_UNUPLOADED_AMOUNT: _(
        "See whether uploads are paused or slowed down, and whether the authority answers."
    ),
    Alert.KIND_UNUPLOADED_AGE: _(
        "See whether uploads are paused or slowed down, and whether the authority answers."
    ),
    Alert.KIND_OFFLINE_LIMIT_REACHED: _(
        "Nothing is issued until the backlog has reached the authority: resume uploads, or mend the"
        " line to it."
    ),
    Alert.KIND_UPLOAD_REJECTED: _(
        "Look at the refused events and their reasons, mend the cause, then send them again; a refused"
        " signature needs a decision."
    ),
    Alert.KIND_UPLOAD_IN_DOUBT: _(
        "The gateway asks by itself until it is answered. Should it last, ask the authority's service"
        " desk."
    ),
    Alert.KIND_AUTHORITY_UNREACHABLE: _(
        "Issuing goes on within the offline limits. Check the line, and whether the authority"
        " maintains its system."
    ),
    Alert.KIND_HSM_UNAVAILABLE: _(
        "Nothing is signed. Check the device, its power and its connection; work goes on by itself"
        " once it answers."
    ),
    Alert.KIND_CERTIFICATE_EXPIRING: _(
        "Give the device a new key and certificate; issuing goes on meanwhile."
    ),
    Alert.KIND_CLOCK_SKEW: _(
        "Mend the clock of the gateway's machine; beyond 30 minutes nothing is issued."
    ),
    Alert.KIND_PERIOD_DUE: _(
        "See what stands in the way of the summary: it needs every event of the month accepted."
    ),
    Alert.KIND_LEDGER_UNWRITABLE: _(
        "Nothing can be issued. Check the disk of the gateway: is it full, or read-only?"
    ),
}
LIMITS: Final[Mapping[int, str]] = {
    LimitUse.LIMIT_AGE: _("Oldest un-uploaded"),
    LimitUse.LIMIT_COUNT: _("Un-uploaded count"),
    LimitUse.LIMIT_AMOUNT: _("Un-uploaded amount"),
    LimitUse.LIMIT_LOCK_DAY: _("Lock day: uploads"),
    LimitUse.LIMIT_PERIOD: _("Lock day: summary"),
    LimitUse.LIMIT_SUMMARY_AGE: _("Days without summary"),
}
TYPES: Final[Mapping[str, str]] = {
    "004": _("special, paper"),
    "007": _("general, paper"),
    "025": _("roll"),
    "026": _("general, electronic"),
    "028": _("special, electronic"),
    "081": _("special, digital"),
    "082": _("general, digital"),
    "D01": _("donation receipt"),
}
PERIOD_STATES: Final[Mapping[int, tuple[str, str]]] = {
    Period.STATE_OPEN: ("none", _("Open")),
    Period.STATE_CLOSING: ("warn", _("Being summarised")),
    Period.STATE_SUMMARISED: ("ok", _("Summarised")),
}
INVOICE_STATES: Final[Mapping[int, tuple[str, str]]] = {
    Invoice.STATE_ISSUED: ("ok", _("Issued")),
    Invoice.STATE_PARTLY_REVERSED: ("warn", _("Partly reversed")),
    Invoice.STATE_REVERSED: ("warn", _("Reversed")),
    Invoice.STATE_VOIDED: ("stop", _("Voided")),
    Invoice.STATE_BLANK_VOIDED: ("stop", _("Voided blank")),
}
UPLOAD_STATES: Final[Mapping[int, tuple[str, str]]] = {
    Invoice.UPLOAD_STATE_PENDING: ("none", _("Waits for its turn")),
    Invoice.UPLOAD_STATE_SUBMITTED: ("none", _("The authority is checking it")),
    Invoice.UPLOAD_STATE_IN_DOUBT: ("warn", _("The answer was lost; asking")),
    Invoice.UPLOAD_STATE_ACCEPTED: ("ok", _("Accepted by the authority")),
    Invoice.UPLOAD_STATE_REJECTED: ("stop", _("Refused by the authority")),
    Invoice.UPLOAD_STATE_SIGNATURE_REJECTED: ("stop", _("Signature refused by the authority")),
}
VERDICTS: Final[Mapping[int, tuple[str, str]]] = {
    VerifyInvoiceResponse.VERDICT_GENUINE: ("ok", _("Genuine: issued here and in force")),
    VerifyInvoiceResponse.VERDICT_VOIDED: ("stop", _("Voided: issued here and voided since")),
    VerifyInvoiceResponse.VERDICT_REVERSED: (
        "warn",
        _("Reversed: issued here and reversed since, in part or in full"),
    ),
    VerifyInvoiceResponse.VERDICT_NOT_OURS: (
        "stop",
        _("Not ours: not issued here, or not as printed"),
    ),
}
_PATIENCE: Final = _("Try again in a moment; what was sent keeps its request id.")
ADVICE: Final[Mapping[str, str]] = {
    "INVALID_REQUEST": _("Correct the field that is named and send again."),
    "TAXPAYER_NOT_FOUND": _("Check the tax number; the overview lists who is registered."),
    "DEVICE_NOT_FOUND": _("Check the machine number; the list of devices has all."),
    "ALERT_NOT_FOUND": _("The list of alerts has all that stand, and those that are over."),
    "ALERT_NOT_OPEN": _("Look at the alert as it is now; nothing is left to do here."),
    "INVOICE_NOT_FOUND": _(
        "Check code and number. By request id this means that no number was taken yet."
    ),
    "NUMBER_BLANK_VOIDED": _(
        "The number taken under this request id was voided blank; issue with a new request id."
    ),
    "REQUEST_ID_REUSED": _("Open the form again: it gets a request id of its own."),
    "RATE_LIMITED": _("Wait a minute; look-ups by QR text are limited."),
    "IN_PROGRESS": _("The number is taken and being signed; look again in a moment."),
    "LEDGER_UNAVAILABLE": _(
        "The gateway cannot use its ledger now. Check its disk; the same form may be sent again."
    ),
    "HSM_UNAVAILABLE": _("The signing device does not answer; the same form may be sent again."),
    "AUTHORITY_UNAVAILABLE": _("The authority does not answer; the same form may be sent again."),
    "OVERLOADED": _PATIENCE,
    "SHUTTING_DOWN": _("The gateway restarts. Try again in a moment."),
    "INTERNAL": _("A fault of the gateway; its log has the cause."),
    "UNAVAILABLE": _(
        "Does the gateway run, and is it reached from here? The page goes on by itself."
    ),
    "DEADLINE_EXCEEDED": _PATIENCE,
    "UNIMPLEMENTED": _("The gateway is older than this console; bring it up to date."),
}
ACTIONS: Final[Mapping[str, str]] = {
    "pause_uploads": _("paused uploads"),
    "resume_uploads": _("resumed uploads"),
    "set_upload_rate": _("set the upload rate"),
    "retry_uploads": _("sent uploads again"),
    "acknowledge_alert": _("acknowledged an alert"),
    "set_alert_thresholds": _("set alert thresholds"),
    "register_taxpayer": _("registered a taxpayer"),
    "draw_stock": _("drew stock"),
    "assign_stock": _("assigned stock"),
    "recall_stock": _("recalled stock"),
    "return_stock": _("returned stock"),
    "void_blank_number": _("voided a blank number"),
    "void_invoice": _("voided an invoice"),
    "answer": _("answered"),
    "set_stock_threshold": _("set a stock threshold"),
    "set_offline_limits": _("set offline limits"),
    "summarise_period": _("summarised a month"),
    "rotate_key": _("gave a device a new key"),
}
