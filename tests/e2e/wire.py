"""How a program reads what comes over the wire: refusals, lost answers, things that take a while."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

PAUSE_S = 0.02
_ISSUE = "/taxcontrol.v1.InvoiceService/IssueInvoice"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A failed call as a program sees it. ``violations`` are (rule, field) pairs."""

    code: grpc.StatusCode
    reason: str
    facts: dict[str, str]
    violations: set[tuple[str, str]]
    retry_s: float | None


def refusal_of(error: grpc.RpcError) -> Refusal:
    """Read a refusal; fails unless it carries exactly one ErrorInfo, of our domain."""
    status = rpc_status.from_call(error)
    assert status is not None, f"no rich status: {error}"
    infos, violations, retry_s = [], set(), None
    for packed in status.details:
        if packed.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            infos.append(_unpacked(packed, error_details_pb2.ErrorInfo()))
        elif packed.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            listed = _unpacked(packed, error_details_pb2.BadRequest())
            violations = {(one.reason, one.field) for one in listed.field_violations}
        elif packed.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            delay = _unpacked(packed, error_details_pb2.RetryInfo()).retry_delay
            retry_s = delay.ToMilliseconds() / 1000
    assert len(infos) == 1, f"{len(infos)} ErrorInfo: {error}"
    assert infos[0].domain == "taxcontrol"
    return Refusal(error.code(), infos[0].reason, dict(infos[0].metadata), violations, retry_s)


@contextlib.contextmanager
def refused(reason: str, code: grpc.StatusCode | None = None) -> Iterator[list[Refusal]]:
    """The call inside is refused for ``reason``; the list holds the refusal afterwards."""
    caught: list[Refusal] = []
    with pytest.raises(grpc.RpcError) as raised:
        yield caught
    caught.append(refusal_of(raised.value))
    assert caught[0].reason == reason, raised.value
    assert code in (None, caught[0].code)


def rich(error: grpc.RpcError) -> bool:
    """Whether a status of the gateway's own came with it."""
    return rpc_status.from_call(error) is not None


def unavailable(error: grpc.RpcError) -> None:
    """Fail unless the effect is unknown and a retry with the same id is the advice."""
    assert error.code() is grpc.StatusCode.UNAVAILABLE, error


def raw(channel: grpc.Channel, method: str = _ISSUE) -> Callable[[bytes], bytes]:
    """A method called with bytes instead of messages."""
    call: Any = channel.unary_unary(method)
    return cast("Callable[[bytes], bytes]", call)


def lost(error: grpc.RpcError) -> bool:
    """Whether no answer came at all: the connection broke, or never was."""
    return error.code() is grpc.StatusCode.UNAVAILABLE and not rich(error)


def eventually(holds: Callable[[], bool], *, within_s: float = 30.0) -> None:
    """Look until ``holds``; fail after ``within_s``. For what cannot be awaited over the wire."""
    ends = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < ends, f"not within {within_s} s"
        time.sleep(PAUSE_S)


def _unpacked(packed: Any, into: _T) -> _T:
    packed.Unpack(into)
    return into
