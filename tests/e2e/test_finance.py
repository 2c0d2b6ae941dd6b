"""A charity beside a merchant: its numbers and its receipts are the finance department's alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import grpc
import pytest

from taxcontrol.admin.v1.stock_admin_service_pb2 import ReturnStockRequest
from taxcontrol.v1 import invoice_pb2
from taxcontrol.v1.stock_service_pb2 import GetStockRequest
from tests.e2e.platform import Platform
from tests.e2e.sellers import IssueInvoiceRequest, Seller, new_id, new_tax_number, ticket
from tests.e2e.wire import eventually, refused
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess


@dataclass(frozen=True, slots=True, kw_only=True)
class Offices:
    """A gateway between two authorities."""

    tax: SimulatorProcess
    finance: SimulatorProcess
    gateway: GatewayProcess

    @property
    def platform(self) -> Platform:
        return Platform(self.gateway.channel)


@pytest.fixture(scope="module")
def offices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Offices]:
    home = tmp_path_factory.mktemp("offices")
    with (
        SimulatorProcess(home / "tax", arguments=["--windows", ""]) as tax,
        SimulatorProcess(
            home / "finance",
            arguments=["--windows", "5/1s", "--office", "finance", "--issue-days", "30"],
        ) as finance,
        GatewayProcess(
            home / "gateway",
            authority=tax.target,
            settings=f'[finance]\ntarget = "{finance.target}"\ntimeout_s = 2.0\n',
        ) as gateway,
    ):
        yield Offices(tax=tax, finance=finance, gateway=gateway)


def a_charity() -> Seller:
    return Seller(
        tax_number=new_tax_number("110000"),
        display_name="示例助学公益基金会",
        types=("D01",),
        rates_ppm=(),
        invoice_limit_fen=0,
    )


def receipt(charity: Seller) -> IssueInvoiceRequest:
    """A receipt for 100 yuan."""
    request = ticket(charity, type_="D01", buyer="李示例")
    request.donation_project = "乡村助学"
    del request.lines[1:]
    line = request.lines[0]
    line.name = "捐款"
    for name in ("tax_fen", "rate_ppm", "classification_code"):
        line.ClearField(name)
    request.tax_fen, request.gross_fen = 0, request.net_fen
    return request


def test_a_charity_is_the_finance_departments_from_registration_to_upload(
    offices: Offices,
) -> None:
    platform = offices.platform
    charity, merchant = platform.register(a_charity()), platform.new_seller("026", stock=5)
    platform.supply(charity, "D01", 5)

    receipts = [platform.issue(receipt(charity)) for _ in range(2)]
    invoice = platform.issue(ticket(merchant))
    eventually(lambda: platform.drained(charity) and platform.drained(merchant))
    [segment] = platform.segments(charity)
    platform.stock_admin.ReturnStock(
        ReturnStockRequest(
            request_id=new_id("return"), parent=charity.name, segment_id=segment.segment_id, count=2
        )
    )

    assert {len(one.number) for one in receipts} == {10}
    assert {len(one.code) for one in receipts} == {8}
    assert {len(one.check_code) for one in receipts} == {6}
    taken = {event.result.number for event in offices.finance.events()}
    assert taken == {one.number for one in receipts}
    assert {event.result.number for event in offices.tax.events()} == {invoice.number}
    assert [one.count for one in offices.finance.returns()] == [2]
    assert offices.tax.calls(charity.tax_number) == []
    assert platform.get(name=receipts[0].name).upload_state == (
        invoice_pb2.Invoice.UPLOAD_STATE_ACCEPTED
    )
    assert platform.books().findings == []


def test_each_authoritys_windows_hold_for_its_own_taxpayers(offices: Offices) -> None:
    platform = offices.platform
    charity, merchant = platform.register(a_charity()), platform.new_seller("026")

    windows = {
        seller.tax_number: [
            (one.period_ms, one.call_count_max) for one in platform.upload_status(seller).windows
        ]
        for seller in (charity, merchant)
    }

    assert windows == {charity.tax_number: [(1000, 5)], merchant.tax_number: []}


def test_the_issue_deadline_of_a_grant_is_shown_with_its_numbers(offices: Offices) -> None:
    platform = offices.platform
    charity, merchant = platform.register(a_charity()), platform.new_seller("026", stock=5)
    platform.supply(charity, "D01", 5)
    [grant] = offices.finance.grants(charity.tax_number)
    [segment] = platform.segments(charity)
    [without] = platform.segments(merchant)

    [level] = platform.stock.GetStock(GetStockRequest(parent=charity.name)).levels

    assert date.fromisoformat(segment.issue_deadline) > datetime.now(UTC).date()
    assert segment.issue_deadline == grant.issue_deadline == level.issue_deadline
    assert not without.issue_deadline


def test_types_of_two_authorities_are_not_registered_together(offices: Offices) -> None:
    seller = Seller(tax_number=new_tax_number(), types=("026", "D01"), rates_ppm=(0,))

    with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as found:
        offices.platform.register(seller)

    assert found[0].violations == {("AUTHORITY_MIXED", "taxpayer.type_grants")}


def test_one_authority_away_stops_only_its_own(offices: Offices) -> None:
    platform = offices.platform
    charity, merchant = platform.register(a_charity()), platform.new_seller("026", stock=5)
    platform.supply(charity, "D01", 5)
    offices.finance.set_faults(unreachable=True)

    platform.issue(receipt(charity))
    platform.issue(ticket(merchant))
    eventually(lambda: platform.drained(merchant))
    waiting = platform.drained(charity)
    offices.finance.set_faults()

    assert not waiting
    eventually(lambda: platform.drained(charity))


def test_without_a_finance_department_a_charity_is_not_served(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "gateway", authority="127.0.0.1:1") as gateway,
        refused("NOT_SERVED", grpc.StatusCode.UNIMPLEMENTED) as found,
    ):
        Platform(gateway.channel).register(a_charity())

    assert found[0].facts == {"kind": "D01"}
