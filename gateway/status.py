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
}

# A status travels in a trailer, of which a gRPC client takes 8 KiB by default; Base64 adds a third.
_LISTED_BYTES_MAX = 4096

# What a database or a device says of its own troubles is for the log, not for callers.
_OUTSIDE: dict[type[InvoiceError], str] = {
    errors.LedgerUnavailable: "the ledger cannot be used now; retry with the same request id",
    errors.HsmUnavailable: "the signing device is away; retry with the same request id",
}

BUG_MESSAGE = "internal error; retry with the same request id"


def code_of(error: InvoiceError) -> int:
    """The gRPC code of ``error``; a room's own subclass has its parent's."""
    for kind in type(error).__mro__:
        if kind in CODE_OF:
            return CODE_OF[kind]
    raise LookupError(type(error).__name__)


def to_status(error: InvoiceError) -> status_pb2.Status:
    """The rich status of ``error``: one ErrorInfo, and BadRequest or RetryInfo where it has them."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.facts)
    found = violations_of(error)
    listed = _listed(found)
    if len(listed.field_violations) < len(found):
        info.metadata["violation_count"] = str(len(found))
    packed = [_packed(info)]
    if found:
        packed.append(_packed(listed))
    if error.retry_s is not None:
        packed.append(_packed(error_details_pb2.RetryInfo(retry_delay=_duration(error.retry_s))))
    return status_pb2.Status(code=code_of(error), message=_sentence(error), details=packed)


def bug_status() -> status_pb2.Status:
    """The status of any other exception. Its text stays in the log."""
    info = error_details_pb2.ErrorInfo(reason="INTERNAL", domain=DOMAIN)
    return status_pb2.Status(code=code_pb2.INTERNAL, message=BUG_MESSAGE, details=[_packed(info)])


def to_failure(error: InvoiceError) -> invoice_service_pb2.Failure:
    """The same facts for one item of a batch."""
    failure = invoice_service_pb2.Failure(
        code=code_of(error),
        reason=error_reason_pb2.ErrorReason.Value(f"ERROR_REASON_{error.reason}"),
        message=_sentence(error),
        metadata=error.facts,
        violations=[
            invoice_service_pb2.Failure.FieldViolation(
                field=item.field, rule=item.rule, description=item.message
            )
            for item in violations_of(error)
        ],
    )
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
    return _OUTSIDE.get(type(error), error.message)


def _listed(found: Sequence[Violation]) -> error_details_pb2.BadRequest:
    """As many violations as a trailer holds, the first ones first."""
    listed = error_details_pb2.BadRequest()
    size = 0
    for violation in found:
        wire = _wire(violation)
        size += wire.ByteSize()
        if size > _LISTED_BYTES_MAX:
            break
        listed.field_violations.append(wire)
    return listed


def _wire(violation: Violation) -> error_details_pb2.BadRequest.FieldViolation:
    return error_details_pb2.BadRequest.FieldViolation(
        field=violation.field, reason=violation.rule, description=violation.message
    )


def _duration(seconds: float) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromMilliseconds(max(1, round(seconds * 1000)))
    return duration


def _packed(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
