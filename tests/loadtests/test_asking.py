"""Retries keep the request id, honour the gateway's advice, and end; a real server on loopback answers."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from loadtests.account import Account
from loadtests.asking import PAUSES_S, Asking
from taxcontrol.v1.error_reason_pb2 import ERROR_REASON_OVERLOADED, ERROR_REASON_STOCK_EXHAUSTED
from taxcontrol.v1.invoice_pb2 import IssuedInvoice
from taxcontrol.v1.invoice_service_pb2 import (
    BatchIssueInvoicesRequest,
    BatchIssueInvoicesResponse,
    BatchIssueResult,
    Failure,
    IssueInvoiceRequest,
    IssueInvoiceResponse,
    IssueInvoicesRequest,
    IssueInvoicesResponse,
)
from taxcontrol.v1.invoice_service_pb2_grpc import (
    InvoiceServiceServicer,
    InvoiceServiceStub,
    add_InvoiceServiceServicer_to_server,
)
from taxctl.connection import connect
from taxctl.failure import CallFailed, reason_name


class Gateway(InvoiceServiceServicer):
    """Refuses each id ``refusals`` times, then answers; ``final`` ids are refused for good."""

    def __init__(self, *, refusals: int = 0, final: str = "", break_after: int = 10**6) -> None:
        self.left: dict[str, int] = {}
        self.refusals = refusals
        self.final = final
        self.break_after = break_after
        self.seen: list[str] = []

    def IssueInvoice(  # noqa: N802 - the contract's name
        self, request: IssueInvoiceRequest, context: grpc.ServicerContext
    ) -> IssueInvoiceResponse:
        result = self._result(request)
        if result.HasField("failure"):
            final = result.failure.reason == ERROR_REASON_STOCK_EXHAUSTED
            context.abort_with_status(
                _status("STOCK_EXHAUSTED" if final else "OVERLOADED", final=final)
            )
        return IssueInvoiceResponse(issued=result.issued)

    def BatchIssueInvoices(  # noqa: N802 - the contract's name
        self, request: BatchIssueInvoicesRequest, _context: grpc.ServicerContext
    ) -> BatchIssueInvoicesResponse:
        return BatchIssueInvoicesResponse(results=[self._result(one) for one in request.requests])

    def IssueInvoices(  # noqa: N802 - the contract's name
        self, request_iterator: Iterator[IssueInvoicesRequest], context: grpc.ServicerContext
    ) -> Iterator[IssueInvoicesResponse]:
        for number, one in enumerate(request_iterator):
            if number == self.break_after:
                self.break_after = 10**6
                context.abort_with_status(_status("SHUTTING_DOWN"))
            yield IssueInvoicesResponse(result=self._result(one.request))

    def _result(self, request: IssueInvoiceRequest) -> BatchIssueResult:
        request_id = request.request_id
        self.seen.append(request_id)
        left = self.left.setdefault(request_id, self.refusals)
        self.left[request_id] = left - 1
        if request_id == self.final:
            failure = Failure(code=8, reason=ERROR_REASON_STOCK_EXHAUSTED)
        elif left > 0:
            failure = Failure(code=8, reason=ERROR_REASON_OVERLOADED)
            failure.retry_delay.FromMilliseconds(2500)
        else:
            issued = IssuedInvoice(request_id=request_id, number=request_id)
            return BatchIssueResult(request_id=request_id, issued=issued)
        return BatchIssueResult(request_id=request_id, failure=failure)


def _status(reason: str, *, final: bool = False) -> grpc.Status:
    """A status as the gateway makes it."""
    details = [error_details_pb2.ErrorInfo(reason=reason, domain="taxcontrol")]
    packed = [AnyMessage() for _ in range(2)]
    packed[0].Pack(details[0])
    packed[1].Pack(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=2, nanos=500_000_000)))
    code = code_pb2.UNAVAILABLE if reason == "SHUTTING_DOWN" else code_pb2.RESOURCE_EXHAUSTED
    status = status_pb2.Status(code=code, message=reason, details=packed[: 1 if final else 2])
    made: grpc.Status = rpc_status.to_status(status)
    return made


class Desk:
    """A gateway, who asks it, and how long was waited."""

    def __init__(self, folder: Path, gateway: Gateway) -> None:
        self.gateway = gateway
        self.waits: list[float] = []
        self.account = Account(folder, "one")
        self.server = grpc.server(ThreadPoolExecutor(2))
        add_InvoiceServiceServicer_to_server(gateway, self.server)
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        self.connection = connect(f"127.0.0.1:{port}", timeout_s=5)
        self.stub = InvoiceServiceStub(self.connection.channel)
        self.asking = Asking(
            self.connection, self.account, random=Random(1), sleep=self.waits.append
        )

    def stop(self) -> None:
        self.connection.channel.close()
        self.server.stop(None).wait()
        self.account.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    made: list[Desk] = []

    def make(**options: Any) -> Desk:
        made.append(Desk(tmp_path, Gateway(**options)))  # type: ignore[abstract]
        return made[-1]

    yield make
    for one in made:
        one.stop()


def _requests(count: int) -> list[IssueInvoiceRequest]:
    return [IssueInvoiceRequest(request_id=f"r{n}") for n in range(count)]


def test_what_is_overloaded_is_asked_again_under_its_id_after_the_advised_delay(
    desk: Callable[..., Desk],
) -> None:
    it = desk(refusals=2)

    answer = it.asking.call("ticket", it.stub.IssueInvoice, _requests(1)[0])

    assert answer.issued.number == "r0"
    assert it.gateway.seen == ["r0", "r0", "r0"]
    assert len(it.waits) == 2
    assert all(2.5 <= wait <= 2.5 * 1.25 for wait in it.waits)
    assert it.account.total.retried["ticket\tOVERLOADED"] == 2


def test_what_is_final_is_not_asked_again(desk: Callable[..., Desk]) -> None:
    it = desk(final="r0")

    with pytest.raises(CallFailed) as caught:
        it.asking.call("ticket", it.stub.IssueInvoice, _requests(1)[0])

    assert reason_name(caught.value.failure) == "STOCK_EXHAUSTED"
    assert it.gateway.seen == ["r0"]
    assert it.waits == []


def test_tries_end(desk: Callable[..., Desk]) -> None:
    it = desk(refusals=10**6)

    with pytest.raises(CallFailed):
        it.asking.call("ticket", it.stub.IssueInvoice, _requests(1)[0])

    assert len(it.gateway.seen) == 1 + len(PAUSES_S)


def test_only_the_refused_items_of_a_batch_go_again(desk: Callable[..., Desk]) -> None:
    it = desk(final="r1")
    it.gateway.left["r2"] = 1

    results = it.asking.batch("batch", _requests(4))

    assert [one.request_id for one in results] == ["r0", "r1", "r2", "r3"]
    assert [one.HasField("issued") for one in results] == [True, False, True, True]
    assert it.gateway.seen == ["r0", "r1", "r2", "r3", "r2"]
    assert it.account.total.retried == {"batch\tOVERLOADED": 1}


def test_what_a_broken_stream_left_open_goes_over_the_next(desk: Callable[..., Desk]) -> None:
    it = desk(break_after=3)

    results = it.asking.stream("stream", _requests(6))

    assert [one.issued.number for one in results] == [f"r{n}" for n in range(6)]
    assert it.gateway.seen == ["r0", "r1", "r2", "r3", "r4", "r5"]
    assert it.account.total.retried == {"stream\tSHUTTING_DOWN": 3}
    assert len(it.waits) == 1
