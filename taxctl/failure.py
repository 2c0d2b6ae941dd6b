"""Why a call failed, as one message for every command: the contract's own ``Failure``.

A single call fails with a rich status, a batch item with a ``Failure``; here both read the same.
"""

from collections.abc import Iterator
from typing import Final

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from taxcontrol.v1 import error_reason_pb2
from taxcontrol.v1.error_reason_pb2 import ErrorReason
from taxcontrol.v1.invoice_service_pb2 import Failure
from taxctl.reasons import TOLD
from taxctl.words import Language, language, mark, tr

_PREFIX: Final = "ERROR_REASON_"
_NO_ANSWER: Final = frozenset({code_pb2.UNAVAILABLE, code_pb2.DEADLINE_EXCEEDED})
# The effect is unknown, or there was none and a later try may pass: in every case the same id.
_PASSING: Final = frozenset(
    {error_reason_pb2.ERROR_REASON_IN_PROGRESS, error_reason_pb2.ERROR_REASON_OVERLOADED}
)

_AFTER: Final = mark("retry with the same request id after {s:g} s")

# What the contract calls effect unknown.
_UNDECIDED: Final = frozenset(
    {
        error_reason_pb2.ERROR_REASON_IN_PROGRESS,
        error_reason_pb2.ERROR_REASON_HSM_UNAVAILABLE,
        error_reason_pb2.ERROR_REASON_LEDGER_UNAVAILABLE,
        error_reason_pb2.ERROR_REASON_AUTHORITY_UNAVAILABLE,
        error_reason_pb2.ERROR_REASON_INTERNAL,
    }
)


class CallFailed(Exception):
    """The gateway refused the call, or did not answer it.

    ``advised``: what a command knows to advise beyond :func:`advice`.
    """

    def __init__(self, failure: Failure, *, advised: str = "") -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.advised = advised


def from_call(call: grpc.Call) -> Failure:
    """Read a failed call. ``reason`` stays unspecified when the answer is not the gateway's."""
    failure = Failure(code=int(call.code().value[0]), message=call.details() or "")
    status = _status(call)
    if status is None:
        return failure
    for detail in status.details:
        info, rules = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        advice = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            failure.reason = _reason(info.reason)
            failure.metadata.update(info.metadata)
        elif detail.Unpack(rules):
            failure.violations.extend(_violations(rules))
        elif detail.Unpack(advice):
            failure.retry_delay.CopyFrom(advice.retry_delay)
    return failure


def reason_name(failure: Failure) -> str:
    """``STOCK_EXHAUSTED``; the gRPC code's name when there is no reason of ours."""
    if failure.reason:
        return _enum_name(failure).removeprefix(_PREFIX)
    try:
        return str(code_pb2.Code.Name(failure.code))
    except ValueError:
        return f"CODE_{failure.code}"


def unanswered(failure: Failure) -> bool:
    """Whether nobody answered: the failure is the channel's, not the gateway's."""
    return not failure.reason and failure.code in _NO_ANSWER


def undecided(failure: Failure) -> bool:
    """Whether the gateway answered that it does not know: the effect of a write is unknown."""
    return failure.reason in _UNDECIDED


def passing(failure: Failure) -> bool:
    """Whether the same request with the same id may do better a little later."""
    if failure.reason == error_reason_pb2.ERROR_REASON_DEADLINE_TOO_SHORT:
        return False  # the same timeout would be too short again
    return failure.code in _NO_ANSWER or failure.reason in _PASSING


def retry_delay_s(failure: Failure) -> float | None:
    """The delay the gateway advises; None when it gives none."""
    if not failure.HasField("retry_delay"):
        return None
    return _seconds(failure.retry_delay)


def sentence(failure: Failure) -> str:
    """Why, in the language that is spoken: the gateway's own sentence is English."""
    told = TOLD.get(failure.reason)
    if told is None or language() is Language.EN:
        return failure.message
    return tr(told.sentence)


def advice(failure: Failure) -> str:
    """What the caller can do, in one sentence; empty where nobody knows."""
    told = TOLD.get(failure.reason)
    if told is not None and told.advice:
        return tr(told.advice)
    # What is limited for being asked too often has no request id.
    limited = failure.reason == error_reason_pb2.ERROR_REASON_RATE_LIMITED
    delay_s = retry_delay_s(failure)
    if delay_s is not None:
        after = tr("ask again after {s:g} s") if limited else tr(_AFTER)
        return after.format(s=delay_s)
    if unanswered(failure):
        return tr("does it run there? after a write, retry with the same request id")
    if limited:
        return tr("ask again")
    return tr("retry with the same request id") if passing(failure) else ""


def _status(call: grpc.Call) -> status_pb2.Status | None:
    try:
        return rpc_status.from_call(call)
    except ValueError:  # a status whose parts disagree is not the gateway's
        return None


def _violations(rules: error_details_pb2.BadRequest) -> Iterator[Failure.FieldViolation]:
    for item in rules.field_violations:
        yield Failure.FieldViolation(
            field=item.field, rule=item.reason, description=item.description
        )


def _reason(name: str) -> "ErrorReason.ValueType":
    try:
        return ErrorReason.Value(_PREFIX + name)
    except ValueError:  # a newer gateway's
        return error_reason_pb2.ERROR_REASON_UNSPECIFIED


def _enum_name(failure: Failure) -> str:
    try:
        return ErrorReason.Name(failure.reason)
    except ValueError:
        return f"REASON_{failure.reason}"


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9
