"""What a failed call means: did the authority say no, or is it unknown what it did.

Rule of this file: *no* needs proof. Only codes that a server gives before it acts, or an answer
that carries the authority's own reason, are refusals; everything else leaves the effect unknown.
"""

from dataclasses import dataclass, field

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from authority.port import Throttled
from invoice.errors import AuthorityRefused, AuthorityUnavailable, InvoiceError

DOMAIN = "authority"

# RESOURCE_EXHAUSTED is not among them: without the authority's reason it is also what gRPC itself
# says of an *answer* that is too large, after the effect.
_REFUSAL_CODES = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


# What of a refusal its reader needs beside the reason.
_FACTS_OF = {
    "PERIOD_OUT_OF_ORDER": ("next_period",),
    "PERIOD_INCOMPLETE": ("missing_count", "missing_numbers"),
    "STATISTICS_MISMATCH": ("type", "field", "stated", "known"),
}


@dataclass(slots=True, kw_only=True)
class Details:
    """What a failed call carries beside its code; ``reason`` is empty when not the authority's."""

    reason: str = ""
    authority_time_s: float | None = None
    retry_s: float | None = None
    facts: dict[str, str] = field(default_factory=dict)


def details_of(error: grpc.aio.AioRpcError) -> Details:
    """Read the rich details of ``error``; none, or garbled ones, read as empty."""
    try:
        status = rpc_status.from_call(error)
    except ValueError:
        status = None
    details = Details()
    for packed in () if status is None else status.details:
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        if packed.Unpack(info) and info.domain == DOMAIN:
            details.reason = info.reason
            told = _FACTS_OF.get(info.reason, ())
            details.facts = {name: info.metadata[name] for name in told if name in info.metadata}
            details.authority_time_s = _seconds(info.metadata.get("authority_time_ms", ""))
        elif packed.Unpack(retry):
            details.retry_s = max(0.0, retry.retry_delay.ToTimedelta().total_seconds())
    return details


def translate(error: grpc.aio.AioRpcError, details: Details, method: str) -> InvoiceError:
    """Return the named failure that ``error`` stands for."""
    code = error.code()
    sentence = f"{method}: {error.details() or code.name}"
    facts = details.facts | {
        "authority_reason": details.reason or code.name,
        "grpc_code": code.name,
    }
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and details.reason == "THROTTLED":
        return Throttled(sentence, retry_s=details.retry_s, **facts)
    if code in _REFUSAL_CODES:
        return AuthorityRefused(sentence, retry_s=details.retry_s, **facts)
    return AuthorityUnavailable(sentence, retry_s=details.retry_s, grpc_code=code.name)


def _seconds(time_ms: str) -> float | None:
    return int(time_ms) / 1000 if time_ms.isascii() and time_ms.isdigit() else None
