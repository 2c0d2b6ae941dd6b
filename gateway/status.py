"""The one place where a named failure becomes a gRPC status, and a bug a fixed sentence."""

from collections.abc import Sequence

import structlog
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from invoice import errors
from invoice.errors import InvalidInvoice, InvalidRequest, InvoiceError, Violation
from taxcontrol.v1 import error_reason_pb2, invoice_service_pb2

log = structlog.get_logger()

DOMAIN = "taxcontrol"

CODE_OF: dict[type[InvoiceError], int] = {
    errors.InvalidInvoice: code_pb2.INVALID_ARGUMENT,
    errors.InvalidRequest: code_pb2.INVALID_ARGUMENT,
    errors.BatchTooLarge: code_pb2.INVALID_ARGUMENT,
    errors.ContentTooLarge: code_pb2.INVALID_ARGUMENT,
    errors.RequestIdReused: code_pb2.ALREADY_EXISTS,
    errors.InProgress: code_pb2.ABORTED,
    errors.TaxpayerNotFound: code_pb2.NOT_FOUND,
    errors.TaxpayerExists: code_pb2.ALREADY_EXISTS,
    errors.PointNotFound: code_pb2.NOT_FOUND,
    errors.InvoiceNotFound: code_pb2.NOT_FOUND,
    errors.DeviceNotReady: code_pb2.FAILED_PRECONDITION,
    errors.StockExhausted: code_pb2.RESOURCE_EXHAUSTED,
    errors.HoldingExceeded: code_pb2.FAILED_PRECONDITION,
    errors.ClockSkew: code_pb2.FAILED_PRECONDITION,
    errors.Overloaded: code_pb2.RESOURCE_EXHAUSTED,
    errors.ShuttingDown: code_pb2.UNAVAILABLE,
    errors.DeadlineTooShort: code_pb2.DEADLINE_EXCEEDED,
    errors.NotServed: code_pb2.UNIMPLEMENTED,
    errors.HsmUnavailable: code_pb2.UNAVAILABLE,
    errors.LedgerUnavailable: code_pb2.UNAVAILABLE,
    errors.AuthorityUnavailable: code_pb2.UNAVAILABLE,
    errors.AuthorityRefused: code_pb2.FAILED_PRECONDITION,
    errors.RedOriginalNotFound: code_pb2.NOT_FOUND,
    errors.RedTypeMismatch: code_pb2.FAILED_PRECONDITION,
    errors.InvoiceNotReversible: code_pb2.FAILED_PRECONDITION,
    errors.RedExceedsBlue: code_pb2.FAILED_PRECONDITION,
    errors.RedNotFull: code_pb2.FAILED_PRECONDITION,
    errors.RedNoticeUsed: code_pb2.ALREADY_EXISTS,
    errors.InvoiceNotVoidable: code_pb2.FAILED_PRECONDITION,
    errors.NumberBlankVoided: code_pb2.ABORTED,
    errors.NumberNotBlank: code_pb2.FAILED_PRECONDITION,
    errors.RateLimited: code_pb2.RESOURCE_EXHAUSTED,
    errors.SegmentNotFound: code_pb2.NOT_FOUND,
    errors.OfflineAgeExceeded: code_pb2.FAILED_PRECONDITION,
    errors.OfflineCountExceeded: code_pb2.FAILED_PRECONDITION,
    errors.OfflineAmountExceeded: code_pb2.FAILED_PRECONDITION,
    errors.OfflineLockDay: code_pb2.FAILED_PRECONDITION,
    errors.OfflineNotAllowed: code_pb2.FAILED_PRECONDITION,
    errors.IssueDeadlinePassed: code_pb2.FAILED_PRECONDITION,
    errors.PeriodNotSummarised: code_pb2.FAILED_PRECONDITION,
    errors.DeviceLocked: code_pb2.FAILED_PRECONDITION,
    errors.OfflineBulkRestricted: code_pb2.FAILED_PRECONDITION,
    errors.DeviceNotFound: code_pb2.NOT_FOUND,
    errors.PeriodNotClosable: code_pb2.FAILED_PRECONDITION,
    errors.AlertNotFound: code_pb2.NOT_FOUND,
    errors.AlertNotOpen: code_pb2.FAILED_PRECONDITION,
}

# A status travels in trailers, of which a gRPC client takes 8 KiB by default: once whole, where
# Base64 adds a third, and its sentence once more, where percent signs may make three bytes of one.
_STATUS_BYTES_MAX = 4608
_SENTENCE_BYTES_MAX = 512
_FACT_BYTES_MAX = 1024
_FACTS_BYTES_MAX = 2560
_LISTED_BYTES_MAX = 4096
# Tags, lengths and the type's name around the BadRequest and its violations.
_LISTED_FRAME_BYTES_MAX = 128
_FIELD_BYTES_MAX = 256
_RULE_BYTES_MAX = 64
# Tags and lengths around one fact, or one violation in a list.
_ENTRY_FRAME_BYTES = 12
_RETRY_S_MAX = 86_400.0
# A batch has no trailer; its limit is that of its message, which its items share.
_FAILURE_LISTED_BYTES_MAX = 64 * 1024

# What a database, a device or a connection says of its own troubles is for the log, not for callers.
_OUTSIDE: dict[type[InvoiceError], str] = {
    errors.LedgerUnavailable: "the ledger cannot be used now; retry with the same request id",
    errors.HsmUnavailable: "the signing device is away; retry with the same request id",
    errors.AuthorityUnavailable: (
        "the tax authority cannot be reached now; retry with the same request id"
    ),
}

BUG_MESSAGE = "internal error; retry with the same request id"


def code_of(error: InvoiceError) -> int:
    """The gRPC code of ``error``; a room's own subclass has its parent's."""
    for kind in type(error).__mro__:
        if kind in CODE_OF:
            return CODE_OF[kind]
    raise LookupError(type(error).__name__)


def to_status(error: InvoiceError) -> status_pb2.Status:
    """The rich status of ``error``: one ErrorInfo, and BadRequest or RetryInfo where it has them.

    It fits a trailer whatever ``error`` holds: texts are cut, and the first violations are listed.
    """
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=_facts(error))
    status = status_pb2.Status(code=code_of(error), message=_sentence(error))
    if error.retry_s is not None:
        retry = error_details_pb2.RetryInfo(retry_delay=_duration(error.retry_s))
        status.details.append(_packed(retry))
    found = violations_of(error)
    taken = status.ByteSize() + _packed(info).ByteSize() + _LISTED_FRAME_BYTES_MAX
    listed = _first_ones(found, min(_LISTED_BYTES_MAX, _STATUS_BYTES_MAX - taken))
    if len(listed) < len(found):
        info.metadata["violation_count"] = str(len(found))
    if found:
        bad_request = error_details_pb2.BadRequest(field_violations=map(_wire, listed))
        status.details.insert(0, _packed(bad_request))
    status.details.insert(0, _packed(info))
    return status


def bug_status() -> status_pb2.Status:
    """The status of any other exception. Its text stays in the log."""
    info = error_details_pb2.ErrorInfo(reason="INTERNAL", domain=DOMAIN)
    return status_pb2.Status(code=code_pb2.INTERNAL, message=BUG_MESSAGE, details=[_packed(info)])


def to_failure(error: InvoiceError) -> invoice_service_pb2.Failure:
    """The same facts for one item of a batch, with many more of its violations."""
    found = violations_of(error)
    listed = _first_ones(found, _FAILURE_LISTED_BYTES_MAX)
    failure = invoice_service_pb2.Failure(
        code=code_of(error),
        reason=error_reason_pb2.ErrorReason.Value(f"ERROR_REASON_{error.reason}"),
        message=_sentence(error),
        metadata=_facts(error),
        violations=[
            invoice_service_pb2.Failure.FieldViolation(
                field=item.field, rule=item.rule, description=item.message
            )
            for item in listed
        ],
    )
    if len(listed) < len(found):
        failure.metadata["violation_count"] = str(len(found))
    if error.retry_s is not None:
        failure.retry_delay.CopyFrom(_duration(error.retry_s))
    return failure


def failed(error: Exception) -> invoice_service_pb2.Failure:
    """Whatever befell one item of a batch; a bug is logged and answered by the fixed sentence."""
    if isinstance(error, InvoiceError):
        return to_failure(error)
    log.error("rpc.bug", exc_info=error)
    return invoice_service_pb2.Failure(
        code=code_pb2.INTERNAL,
        reason=error_reason_pb2.ERROR_REASON_INTERNAL,
        message=BUG_MESSAGE,
    )


def violations_of(error: InvoiceError) -> tuple[Violation, ...]:
    """The broken rules ``error`` carries; empty for most."""
    return error.violations if isinstance(error, InvalidInvoice | InvalidRequest) else ()


def _sentence(error: InvoiceError) -> str:
    for kind, sentence in _OUTSIDE.items():
        if isinstance(error, kind):
            return sentence
    return _cut(error.message, _SENTENCE_BYTES_MAX)


def _facts(error: InvoiceError) -> dict[str, str]:
    """The facts, long ones cut, and those left out that no longer fit."""
    facts: dict[str, str] = {}
    left = _FACTS_BYTES_MAX
    for key, whole in error.facts.items():
        value = _cut(whole, _FACT_BYTES_MAX)
        left -= len(key.encode()) + len(value.encode()) + _ENTRY_FRAME_BYTES
        if left < 0:
            break
        facts[key] = value
    return facts


def _first_ones(found: Sequence[Violation], bytes_max: int) -> list[Violation]:
    """The first violations that fit ``bytes_max`` as they travel, their texts cut; at least one."""
    listed: list[Violation] = []
    size = 0
    for whole in found:
        violation = Violation(
            field=_cut(whole.field, _FIELD_BYTES_MAX),
            rule=_cut(whole.rule, _RULE_BYTES_MAX),
            message=_cut(whole.message, _SENTENCE_BYTES_MAX),
        )
        size += _wire(violation).ByteSize() + _ENTRY_FRAME_BYTES
        if listed and size > bytes_max:
            break
        listed.append(violation)
    return listed


def _cut(text: str, bytes_max: int) -> str:
    """``text`` if its UTF-8 has at most ``bytes_max`` bytes, else its beginning and an ellipsis."""
    # Replaced, since half a surrogate pair out of a path or a log cannot travel.
    encoded = text.encode(errors="replace")
    if len(encoded) > bytes_max:
        encoded = encoded[: bytes_max - len("…".encode())] + "…".encode()
    return encoded.decode(errors="ignore")


def _wire(violation: Violation) -> error_details_pb2.BadRequest.FieldViolation:
    return error_details_pb2.BadRequest.FieldViolation(
        field=violation.field, reason=violation.rule, description=violation.message
    )


def _duration(seconds: float) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromMilliseconds(max(1, round(min(seconds, _RETRY_S_MAX) * 1000)))
    return duration


def _packed(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
