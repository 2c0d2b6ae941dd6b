"""Why a call to the gateway failed, read from its rich status: a name, a sentence, facts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

_NO_ANSWER: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
# What the contract calls effect unknown: the same request id tells what happened.
_UNDECIDED: Final = frozenset(
    {
        "IN_PROGRESS",
        "HSM_UNAVAILABLE",
        "LEDGER_UNAVAILABLE",
        "AUTHORITY_UNAVAILABLE",
        "INTERNAL",
    }
)
_HTTP_STATUS: Final[Mapping[str, int]] = {
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "FAILED_PRECONDITION": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "DEADLINE_EXCEEDED": 504,
    "UNAVAILABLE": 503,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One field that breaks a rule."""

    field: str
    rule: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed call. ``reason`` is the contract's, or the gRPC code's name where nobody gave one.

    ``answered``: whether the gateway itself refused; otherwise the channel did.
    """

    reason: str
    code: str
    message: str
    answered: bool
    facts: Mapping[str, str] = field(default_factory=dict)
    violations: Sequence[Violation] = ()

    @property
    def http_status(self) -> int:
        """The status a page that shows it is sent with."""
        return _HTTP_STATUS.get(self.code, 502)

    @property
    def spoken(self) -> bool:
        """Whether a gateway said so, if only that it has no such call: it is there."""
        return self.answered or self.code not in _NO_ANSWER

    @property
    def undecided(self) -> bool:
        """Whether a write may or may not have taken effect."""
        return self.reason in _UNDECIDED or (not self.answered and self.code in _NO_ANSWER)


class CallFailed(Exception):
    """The gateway refused the call, or did not answer it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.reason}: {failure.message}")
        self.failure = failure


def from_call(error: grpc.aio.AioRpcError) -> Failure:
    """Read a failed call."""
    code = error.code().name
    message = error.details() or ""
    reason, facts, violations = "", {}, []
    for detail in _details(error):
        info, rules = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            reason, facts = info.reason, dict(info.metadata)
        elif detail.Unpack(rules):
            violations = [
                Violation(field=one.field, rule=one.reason, message=one.description)
                for one in rules.field_violations
            ]
    return Failure(
        reason=reason or code,
        code=code,
        message=message,
        answered=bool(reason),
        facts=facts,
        violations=violations,
    )


def _details(error: grpc.aio.AioRpcError) -> Sequence[any_pb2.Any]:
    try:
        status: status_pb2.Status | None = rpc_status.from_call(error)
    except ValueError:  # a status whose parts disagree is not the gateway's
        return ()
    return () if status is None else status.details
