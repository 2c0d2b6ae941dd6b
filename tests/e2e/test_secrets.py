"""What must not be seen: buyers' data and the PIN in the log, a bug's text at the caller.

The log is read at its most talkative, after calls that went well and calls that did not.
"""

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from grpc_status import rpc_status
from structlog.testing import capture_logs

from gateway import config, server
from ledger.port import Ledger
from taxcontrol.v1 import invoice_pb2, invoice_service_pb2, invoice_service_pb2_grpc
from tests.e2e.platform import Platform
from tests.e2e.sellers import IssueInvoiceRequest, Seller, ticket
from tests.e2e.wire import eventually, raw
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess
from tests.fakes.software_signer import SoftwareSigner

BUYER = {
    "name": "金丝雀买方Canary-Name",
    "tax_number": "91310115MACANARYX",  # 17 characters: no check digit
    "address_phone": "金丝雀路7号 021-7777001",
    "bank_account": "金丝雀银行 6222007777001",
}
REMARK = "金丝雀备注Canary-Remark"
SECRET = "canary: row 4201 of table customer"


def with_canaries(request: IssueInvoiceRequest) -> IssueInvoiceRequest:
    request.buyer.CopyFrom(invoice_pb2.Party(**BUYER))
    request.remark = REMARK
    request.clerk = "金丝雀"
    return request


def test_no_buyer_and_no_pin_is_ever_in_the_log(tmp_path: Path) -> None:
    with (
        SimulatorProcess(tmp_path / "simulator", arguments=["--windows", ""]) as simulator,
        GatewayProcess(tmp_path / "gateway", authority=simulator.target, level="debug") as gateway,
    ):
        pins = [(gateway.folder / "token" / name).read_text() for name in ("pin", "so-pin")]
        platform = Platform(gateway.channel)
        seller = platform.new_seller("026", stock=10)
        request = with_canaries(ticket(seller))
        platform.issue(request)
        _provoke(platform, gateway, seller, request)
        simulator.set_faults(seed=1, refuse_item_ppm=1_000_000)
        platform.issue(with_canaries(ticket(seller)))
        eventually(lambda: platform.drained(seller))
        platform.books()
        assert gateway.stop() == 0
        seen = gateway.log.read_text() + gateway.printed + str(gateway.config.read_text())

    assert '"event":"rpc.done"' in seen
    assert request.request_id in seen
    for secret in (*BUYER.values(), REMARK, "金丝雀", "Canary", *pins):
        assert secret not in seen
        # JSON may write it in escapes.
        assert secret.encode("unicode_escape").decode() not in seen


def _provoke(
    platform: Platform, gateway: GatewayProcess, seller: Seller, request: IssueInvoiceRequest
) -> None:
    """Refusals of every kind that has the buyer at hand."""
    invalid = with_canaries(ticket(seller))
    invalid.buyer.tax_number = BUYER["tax_number"] + "Canary"
    invalid.buyer.name = BUYER["name"] * 10
    invalid.gross_fen += 1
    other = with_canaries(ticket(seller, request.request_id, net_fen=20_000))
    exhausted = with_canaries(ticket(seller, point=0, type_="026"))
    exhausted.point = seller.point(9)
    malformed = with_canaries(ticket(seller)).SerializeToString() + b"\xff\xff"
    for one in (invalid, other, exhausted):
        with pytest.raises(grpc.RpcError):
            platform.issue(one)
    with pytest.raises(grpc.RpcError):
        raw(gateway.channel)(malformed)
    batch = invoice_service_pb2.BatchIssueInvoicesRequest(requests=[invalid, other, exhausted])
    assert all(
        one.HasField("failure") for one in platform.invoices.BatchIssueInvoices(batch).results
    )


# --- a bug ----------------------------------------------------------------------------------


class _BuggyLedger:
    """A ledger with a bug in looking things up, whose text is nobody's business."""

    def __init__(self, real: Ledger) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def find_invoice(self, *_: object) -> None:
        raise ValueError(SECRET)

    async def taxpayer(self, *_: object) -> None:
        raise LookupError(SECRET)

    def check_books(self) -> Any:
        raise RuntimeError(SECRET)


@pytest.fixture
async def buggy(tmp_path: Path) -> AsyncIterator[grpc.aio.Channel]:
    """The real gateway in this process, on a ledger with bugs and a device of software."""
    settings = tmp_path / "gateway.toml"
    settings.write_text(
        '[server]\nlisten = "127.0.0.1:0"\n[ledger]\npath = "ledger.db"\n'
        '[hsm]\ntoken_label = "none"\npin_file = "pin"\n[authority]\ntarget = "127.0.0.1:1"\n'
    )
    parts = server.assemble(config.read(settings))
    parts = dataclasses.replace(
        parts, ledger=cast("Ledger", _BuggyLedger(parts.ledger)), signer=SoftwareSigner()
    )
    async with server.running(parts) as address, grpc.aio.insecure_channel(address) as channel:
        yield channel


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        (
            "/taxcontrol.v1.InvoiceService/GetInvoice",
            invoice_service_pb2.GetInvoiceRequest(
                name="taxpayers/91310115X12J2H3L4B/invoices/031002600111-00000001"
            ),
        ),
        (
            "/taxcontrol.v1.InvoiceService/IssueInvoice",
            ticket(Seller(tax_number="91310115X12J2H3L4B"), "bug"),
        ),
    ],
)
async def test_a_bugs_text_stays_in_the_log(
    buggy: grpc.aio.Channel, method: str, request_: Any
) -> None:
    call: Any = buggy.unary_unary(method, request_serializer=type(request_).SerializeToString)

    with capture_logs() as logs, pytest.raises(grpc.RpcError) as raised:
        await call(request_)

    said = str(rpc_status.from_call(raised.value)) + str(raised.value)
    assert raised.value.code() is grpc.StatusCode.INTERNAL
    assert SECRET not in said
    assert "Error" not in (raised.value.details() or "")
    [bug] = [entry for entry in logs if entry["event"] == "rpc.bug"]
    assert SECRET in str(bug["exc_info"])


async def test_a_bugs_text_stays_in_the_log_of_a_stream(buggy: grpc.aio.Channel) -> None:
    call: Any = buggy.unary_stream("/taxcontrol.admin.v1.AuditService/CheckBooks")

    with capture_logs() as logs, pytest.raises(grpc.RpcError) as raised:
        await call(b"").read()

    assert raised.value.code() is grpc.StatusCode.INTERNAL
    assert SECRET not in str(raised.value)
    assert any(entry["event"] == "rpc.bug" for entry in logs)


async def test_a_bugs_text_stays_in_the_log_of_a_batch(buggy: grpc.aio.Channel) -> None:
    stub = invoice_service_pb2_grpc.InvoiceServiceStub(buggy)
    request = ticket(Seller(tax_number="91310115X12J2H3L4B"), "bug")

    with capture_logs() as logs:
        answer = await stub.BatchIssueInvoices(
            invoice_service_pb2.BatchIssueInvoicesRequest(requests=[request])
        )

    assert answer.results[0].failure.code == grpc.StatusCode.INTERNAL.value[0]
    assert SECRET not in str(answer)
    assert any(entry["event"] == "rpc.bug" for entry in logs)
