"""What each reason of a refusal means, and what to do about it, for people.

In English the gateway's own sentence is shown, which has the figures; in Chinese the one from the
catalog, and the figures behind it. An empty advice is one that depends on the delay the gateway names.
"""

from typing import Final, NamedTuple

from taxcontrol.v1 import error_reason_pb2 as reason
from taxctl.words import mark


class Told(NamedTuple):
    """Both in English, as the catalog has them."""

    sentence: str
    advice: str = ""


_UPLOAD_FIRST: Final = mark(
    "see `taxctl upload status`: issuing goes on once uploads have caught up"
)

TOLD: Final[dict[int, Told]] = {
    reason.ERROR_REASON_INVALID_INVOICE: Told(
        mark("the invoice breaks rules"), mark("mend what is named and send it again")
    ),
    reason.ERROR_REASON_INVALID_REQUEST: Told(
        mark("a field of the request is malformed"), mark("mend what is named and send it again")
    ),
    reason.ERROR_REASON_BATCH_TOO_LARGE: Told(
        mark("the batch is larger than one call may carry"), mark("give a smaller --batch-size")
    ),
    reason.ERROR_REASON_CONTENT_TOO_LARGE: Told(
        mark("the content of the invoice is too large"), mark("split it into several invoices")
    ),
    reason.ERROR_REASON_REQUEST_ID_REUSED: Told(
        mark("the request id stands for another request"),
        mark("repeat the earlier request exactly, or use a new request id"),
    ),
    reason.ERROR_REASON_IN_PROGRESS: Told(mark("the first call with this request id still runs")),
    reason.ERROR_REASON_TAXPAYER_NOT_FOUND: Told(
        mark("no such taxpayer is registered"), mark("see `taxctl taxpayer list`")
    ),
    reason.ERROR_REASON_TAXPAYER_EXISTS: Told(
        mark("the taxpayer was registered by another request"), mark("see `taxctl taxpayer show`")
    ),
    reason.ERROR_REASON_POINT_NOT_FOUND: Told(
        mark("the taxpayer has no such issuing point"), mark("see `taxctl taxpayer show`")
    ),
    reason.ERROR_REASON_INVOICE_NOT_FOUND: Told(
        mark("there is no such invoice, or no number was taken under this request id yet"),
        mark("check the name; by request id issue again with the same id, never with a new one"),
    ),
    reason.ERROR_REASON_DEVICE_NOT_READY: Told(
        mark("the device of the point has no usable key or certificate"),
        mark("see `taxctl device list`"),
    ),
    reason.ERROR_REASON_STOCK_EXHAUSTED: Told(
        mark("too few numbers of this type are left"),
        mark("draw and assign numbers: `taxctl stock draw`, `taxctl stock assign`"),
    ),
    reason.ERROR_REASON_HOLDING_EXCEEDED: Told(
        mark("more numbers would be held than may be"),
        mark("draw fewer; `taxctl taxpayer show` says how many may be held"),
    ),
    reason.ERROR_REASON_CLOCK_SKEW: Told(
        mark("the clock of the gateway cannot date an invoice"),
        mark("set the clock of the gateway's machine; `taxctl top` shows how far it is off"),
    ),
    reason.ERROR_REASON_OVERLOADED: Told(mark("more work waits than the gateway admits")),
    reason.ERROR_REASON_SHUTTING_DOWN: Told(
        mark("the gateway is being stopped and takes no new work")
    ),
    reason.ERROR_REASON_DEADLINE_TOO_SHORT: Told(
        mark("too little time is left for the call"), mark("give a larger --timeout")
    ),
    reason.ERROR_REASON_NOT_SERVED: Told(
        mark("this gateway does not serve requests of this kind"),
        mark("configure what is missing, or call another gateway"),
    ),
    reason.ERROR_REASON_HSM_UNAVAILABLE: Told(mark("the signing device is away")),
    reason.ERROR_REASON_LEDGER_UNAVAILABLE: Told(mark("the ledger cannot be written or read")),
    reason.ERROR_REASON_AUTHORITY_UNAVAILABLE: Told(mark("the authority does not answer")),
    reason.ERROR_REASON_AUTHORITY_REFUSED: Told(
        mark("the authority said no"),
        mark("mend what the authority names; a draw or a return then needs a new request id"),
    ),
    reason.ERROR_REASON_INTERNAL: Told(
        mark("a fault of the gateway"),
        mark("retry with the same request id; the cause is in the log of the gateway"),
    ),
    reason.ERROR_REASON_RED_ORIGINAL_NOT_FOUND: Told(
        mark("this taxpayer never issued the blue invoice that the red one names"),
        mark("check code and number of the blue invoice"),
    ),
    reason.ERROR_REASON_RED_TYPE_MISMATCH: Told(
        mark("a red invoice of this type cannot reverse that invoice"),
        mark("give another --type, or another invoice"),
    ),
    reason.ERROR_REASON_INVOICE_NOT_REVERSIBLE: Told(
        mark("the invoice cannot be reversed as it stands"), mark("see `taxctl get` of it")
    ),
    reason.ERROR_REASON_RED_EXCEEDS_BLUE: Told(
        mark("the red invoice is larger than what remains of the blue one"),
        mark("see `taxctl get` of the blue invoice: reverse at most what remains"),
    ),
    reason.ERROR_REASON_RED_NOT_FULL: Told(
        mark("invoices of this type are reversed in full only"),
        mark("reverse it in full: `taxctl reverse`"),
    ),
    reason.ERROR_REASON_RED_NOTICE_USED: Told(
        mark("another red invoice has used this red notice"), mark("give another --notice")
    ),
    reason.ERROR_REASON_INVOICE_NOT_VOIDABLE: Told(
        mark("the invoice cannot be voided as it stands"), mark("see `taxctl get` of it")
    ),
    reason.ERROR_REASON_NUMBER_BLANK_VOIDED: Told(
        mark("the number of this request id was voided blank"),
        mark("this request id is used up for ever: issue with a new one"),
    ),
    reason.ERROR_REASON_NUMBER_NOT_BLANK: Told(
        mark("the number cannot be voided blank"),
        mark("see `taxctl stock show`: only the next number of the point can"),
    ),
    reason.ERROR_REASON_RATE_LIMITED: Told(mark("this caller has asked too often")),
    reason.ERROR_REASON_SEGMENT_NOT_FOUND: Told(
        mark("the taxpayer has no such segment"), mark("see `taxctl stock segments`")
    ),
    reason.ERROR_REASON_OFFLINE_AGE_EXCEEDED: Told(
        mark("the oldest invoice that is not uploaded is as old as the offline hours allow"),
        _UPLOAD_FIRST,
    ),
    reason.ERROR_REASON_OFFLINE_COUNT_EXCEEDED: Told(
        mark("as many invoices are not uploaded as the offline count allows"), _UPLOAD_FIRST
    ),
    reason.ERROR_REASON_OFFLINE_AMOUNT_EXCEEDED: Told(
        mark("the amount that is not uploaded would pass the offline amount"),
        mark("see `taxctl upload status`: a smaller invoice may pass, any once uploads caught up"),
    ),
    reason.ERROR_REASON_OFFLINE_LOCK_DAY: Told(
        mark("the lock day has come and invoices of an earlier month are not uploaded"),
        _UPLOAD_FIRST,
    ),
    reason.ERROR_REASON_OFFLINE_NOT_ALLOWED: Told(
        mark("nothing may be issued while an invoice is not uploaded"), _UPLOAD_FIRST
    ),
    reason.ERROR_REASON_ISSUE_DEADLINE_PASSED: Told(
        mark("the day until which these numbers may be issued is over"),
        mark("return them and draw others: `taxctl stock return`, `taxctl stock draw`"),
    ),
    reason.ERROR_REASON_PERIOD_NOT_SUMMARISED: Told(
        mark("an earlier month is not summarised and the lock day has come"),
        mark("`taxctl period close --dry-run` says what is in the way"),
    ),
    reason.ERROR_REASON_DEVICE_LOCKED: Told(
        mark("the device was not summarised for more than 90 days and is locked"),
        mark("`taxctl period close --dry-run` says what is in the way"),
    ),
    reason.ERROR_REASON_OFFLINE_BULK_RESTRICTED: Told(
        mark("so little is left of an offline limit that bulk work is refused"), _UPLOAD_FIRST
    ),
    reason.ERROR_REASON_DEVICE_NOT_FOUND: Told(
        mark("the taxpayer has no such device"), mark("see `taxctl device list`")
    ),
    reason.ERROR_REASON_PERIOD_NOT_CLOSABLE: Told(
        mark("the month cannot be summarised as it stands"),
        mark("`taxctl period close --dry-run` says what is in the way"),
    ),
    reason.ERROR_REASON_ALERT_NOT_FOUND: Told(
        mark("there is no such alert"), mark("see `taxctl alerts list`")
    ),
    reason.ERROR_REASON_ALERT_NOT_OPEN: Told(
        mark("the alert is over, or somebody else has acknowledged it"),
        mark("see `taxctl alerts list --all`"),
    ),
}
