"""The authority's record is compared both ways and byte by byte; each kind of difference is named."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256

import grpc
import pytest

from sandbox.deeds import Deeds, ReturnedNumbers, parts
from sandbox.record import differences
from taxcontrol.authority.v1.authority_pb2 import (
    ItemResult,
    RecordedEvent,
    StockReturn,
    UploadItem,
)
from taxcontrol.authority.v1.simulator_service_pb2 import (
    ExportRecordRequest,
    ExportRecordResponse,
    SetFaultsRequest,
    SetFaultsResponse,
    SetPolicyRequest,
    SetPolicyResponse,
)
from taxcontrol.authority.v1.simulator_service_pb2_grpc import (
    SimulatorServiceServicer,
    add_SimulatorServiceServicer_to_server,
)
from taxcontrol.v1.invoice_pb2 import IssuedInvoice, VoidStatement
from taxctl.connection import Connection, connect


class Record(SimulatorServiceServicer):
    """A record of given events and returns."""

    def __init__(self, pieces: list[RecordedEvent | StockReturn]) -> None:
        self._pieces = pieces

    def ExportRecord(  # noqa: N802 - the contract's name
        self, request: ExportRecordRequest, context: grpc.ServicerContext
    ) -> Iterator[ExportRecordResponse]:
        del request, context
        for piece in self._pieces:
            if isinstance(piece, StockReturn):
                yield ExportRecordResponse(stock_return=piece)
            else:
                yield ExportRecordResponse(event=piece)

    def SetFaults(  # noqa: N802 - the contract's name
        self, request: SetFaultsRequest, context: grpc.ServicerContext
    ) -> SetFaultsResponse:
        del request
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "this record takes no orders")

    def SetPolicy(  # noqa: N802 - the contract's name
        self, request: SetPolicyRequest, context: grpc.ServicerContext
    ) -> SetPolicyResponse:
        del request
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "this record takes no orders")


@contextmanager
def record(*pieces: RecordedEvent | StockReturn) -> Iterator[Connection]:
    server = grpc.server(ThreadPoolExecutor(1))
    add_SimulatorServiceServicer_to_server(Record(list(pieces)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    connection = connect(f"127.0.0.1:{port}")
    with connection.channel:
        yield connection
    server.stop(None).wait()


def invoice(number: str, content: bytes = b"content") -> IssuedInvoice:
    return IssuedInvoice(
        name=f"taxpayers/T/invoices/c-{number}",
        code="c",
        number=number,
        content=content,
        signature=b"signature",
    )


def statement(number: str, content: bytes = b"void") -> VoidStatement:
    return VoidStatement(
        invoice=f"taxpayers/T/invoices/c-{number}", content=content, signature=b"signature"
    )


def event(
    issued: IssuedInvoice,
    verdict: "ItemResult.Verdict.ValueType" = ItemResult.VERDICT_ACCEPTED,
    what: "UploadItem.Event.ValueType" = UploadItem.EVENT_ISSUE,
) -> RecordedEvent:
    return RecordedEvent(
        result=ItemResult(code=issued.code, number=issued.number, event=what, verdict=verdict),
        content_digest=sha256(issued.content).digest(),
        signature_digest=sha256(issued.signature).digest(),
    )


def void(number: str, content: bytes = b"void") -> RecordedEvent:
    return event(invoice(number, content), what=UploadItem.EVENT_VOID)


def blank_void(number: str, content: bytes = b"void") -> RecordedEvent:
    return event(invoice(number, content), what=UploadItem.EVENT_BLANK_VOID)


def stock_return(first: int, count: int = 10) -> StockReturn:
    return StockReturn(
        tax_number="T", type="082", code="", prefix="26", width=6, first=first, count=count
    )


DEEDS = Deeds(
    issued=[invoice("1")],
    voids=[statement("1")],
    blank_voids=[statement("2")],
    returned=[ReturnedNumbers("T", "082", "", "260011", 10)],
)
RIGHT = (event(invoice("1")), void("1"), blank_void("2"), stock_return(11))


def test_the_same_deeds_are_no_difference() -> None:
    with record(*reversed(RIGHT)) as simulator:
        assert differences(simulator, DEEDS) == []


@pytest.mark.parametrize(
    ("pieces", "named"),
    [
        (RIGHT[1:], "c-1: issued, and not on the authority's record"),
        ((*RIGHT, event(invoice("3"))), "c-3: on the authority's record, and not issued here"),
        ((*RIGHT, event(invoice("1"))), "c-1: issued on the authority's record twice"),
        ((event(invoice("1", b"x")), *RIGHT[1:]), "c-1: issued, and not on the authority's record"),
        (
            (*RIGHT, event(invoice("1"), ItemResult.VERDICT_REJECTED)),
            "c-1: refused by the authority",
        ),
        ((RIGHT[0], *RIGHT[2:]), "c-1: voided, and not on the authority's record"),
        ((*RIGHT, void("1")), "c-1: voided on the authority's record twice"),
        ((*RIGHT, void("3")), "c-3: on the authority's record, and not voided here"),
        ((RIGHT[0], void("1", b"x"), *RIGHT[2:]), "c-1: voided, and not on the authority's record"),
        ((*RIGHT[:2], RIGHT[3]), "c-2: voided blank, and not on the authority's record"),
        ((*RIGHT, blank_void("1")), "c-1: on the authority's record, and not voided blank here"),
        (RIGHT[:3], "-260011: returned, and not on the authority's record"),
        ((*RIGHT, RIGHT[3]), "-260011: on the authority's record of returns twice"),
        ((*RIGHT, stock_return(21)), "-260021: on the authority's record, and not returned"),
        ((*RIGHT[:3], stock_return(11, 9)), "-260011: returned, and not on the authority's record"),
    ],
)
def test_each_difference_is_named(
    pieces: tuple[RecordedEvent | StockReturn, ...], named: str
) -> None:
    with record(*pieces) as simulator:
        found = differences(simulator, DEEDS)

    assert any(one.startswith(named) for one in found), found


def test_deeds_are_told_apart_by_their_owner() -> None:
    others = VoidStatement(invoice="taxpayers/U/invoices/26000000000000000001")

    part = Deeds(issued=DEEDS.issued, voids=[*DEEDS.voids, others], returned=DEEDS.returned).of(
        {"U"}
    )

    assert part == Deeds(voids=[others])
    assert parts(others.invoice) == ("U", "", "26000000000000000001")
