"""The finance department beside the tax office, fully digital invoices, and issue deadlines."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from authority.client import GrpcAuthority
from authority.port import Grant, TypeAllowance
from invoice.errors import AuthorityRefused
from tests.authority.conftest import Connect
from tests.authority.material import (
    SHANGHAI,
    Trader,
    broken,
    new_id,
    new_tax_number,
    new_trader,
    seller,
    wanted,
)
from tests.fakes.simulator_process import SimulatorProcess

ACCEPTED = ("ACCEPTED", "")
NOT_GRANTED = ("REJECTED", "NUMBER_NOT_GRANTED")
VAT_TYPES = ("004", "007", "025", "026", "028", "081", "082")


@pytest.fixture(scope="session")
def finance_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    store = tmp_path_factory.mktemp("finance") / "store"
    arguments = ["--windows", "", "--office", "finance"]
    with SimulatorProcess(store, arguments=arguments) as simulator:
        yield simulator


@pytest.fixture
async def finance(finance_process: SimulatorProcess, connect: Connect) -> GrpcAuthority:
    return connect(finance_process)


async def refusal_of_registration(
    authority: GrpcAuthority, wanted_: list[TypeAllowance]
) -> tuple[str, str]:
    tax_number = new_tax_number()
    with pytest.raises(AuthorityRefused) as refusal:
        await authority.register_taxpayer(seller(tax_number), wanted_)
    # Nothing is registered, so a right application is answered in full.
    with pytest.raises(AuthorityRefused) as unknown:
        await authority.register_device(request_id=new_id(), tax_number=tax_number, kind="x")
    assert unknown.value.facts["authority_reason"] == "TAXPAYER_UNKNOWN"
    return refusal.value.facts["authority_reason"], refusal.value.facts["grpc_code"]


async def refusal_of_draw(authority: GrpcAuthority, tax_number: str, type_: str) -> str:
    with pytest.raises(AuthorityRefused) as refusal:
        await authority.grant_stock(request_id=new_id(), tax_number=tax_number, type=type_, count=1)
    return refusal.value.facts["authority_reason"]


@pytest.mark.parametrize("type_", VAT_TYPES)
async def test_the_finance_department_grants_no_invoices(
    finance: GrpcAuthority, type_: str
) -> None:
    refused = ("TYPE_NOT_GRANTED", "FAILED_PRECONDITION")

    assert await refusal_of_registration(finance, wanted("D01", type_)) == refused
    tax_number = new_tax_number()
    registration = await finance.register_taxpayer(seller(tax_number), wanted("D01", "999"))
    assert [grant.type for grant in registration.grants] == ["D01"]
    assert await refusal_of_draw(finance, tax_number, type_) == "TYPE_NOT_GRANTED"


async def test_the_tax_office_grants_no_donation_receipts(authority: GrpcAuthority) -> None:
    refused = ("TYPE_NOT_GRANTED", "FAILED_PRECONDITION")

    assert await refusal_of_registration(authority, wanted("026", "D01")) == refused
    trader = await new_trader(authority)
    assert await refusal_of_draw(authority, trader.tax_number, "D01") == "TYPE_NOT_GRANTED"


async def test_donation_receipts_are_numbered_as_the_finance_department_does(
    finance: GrpcAuthority,
) -> None:
    trader = await new_trader(finance, type_="D01")
    grant = trader.grant
    year = f"{datetime.now(tz=SHANGHAI).year % 100:02d}"

    assert (len(grant.code), grant.prefix, grant.width) == (8, "", 10)
    assert grant.code.isdigit()
    assert (grant.code[:2], grant.code[6:]) == (trader.tax_number[2:4], year)
    assert len(trader.number(0)) == 10


async def test_donation_receipts_go_the_whole_way(
    finance: GrpcAuthority, finance_process: SimulatorProcess
) -> None:
    trader = await new_trader(finance, type_="D01")
    receipt, red, voided, blank = (trader.number(ordinal) for ordinal in range(4))
    amounts = {"net_fen": 50_000, "tax_fen": 0, "gross_fen": 50_000}
    reversed_ = {name: -amount for name, amount in amounts.items()}

    assert await trader.verdicts(
        trader.issue(receipt, **amounts),
        trader.red(red, original=receipt, **reversed_),
        trader.issue(voided),
        trader.void(voided),
        trader.blank_void(blank),
        trader.issue(trader.number(100)),
    ) == [ACCEPTED] * 5 + [NOT_GRANTED]
    await give_back(trader, 90, 10)
    assert await trader.verdicts(trader.issue(trader.number(90))) == [NOT_GRANTED]
    assert len(finance_process.returns(trader.tax_number)) == 1


async def test_the_two_departments_share_no_machine_number_and_no_id(
    authority: GrpcAuthority, finance: GrpcAuthority
) -> None:
    traders = [await new_trader(authority), await new_trader(finance, type_="D01")]
    returns = [await give_back(trader, 99, 1) for trader in traders]

    assert [trader.machine_number[:3] for trader in traders] == ["661", "662"]
    assert [trader.grant.grant_id[0] for trader in traders] == ["G", "F"]
    assert [returned[0] for returned in returns] == ["R", "F"]


async def test_a_certificate_of_the_one_counts_for_nothing_with_the_other(
    authority: GrpcAuthority, finance: GrpcAuthority
) -> None:
    trader = await new_trader(finance, type_="D01")
    stranger = await new_trader(authority)

    item = replace(trader, key=stranger.key).issue(trader.number(0))
    submission = trader.submission(item)
    submission.certificates[trader.key_id] = stranger.certificate
    accepted = await finance.submit(submission)

    assert [each.reason for each in await trader.results(accepted)] == ["SIGNATURE_INVALID"]


async def test_a_store_stays_with_its_department(
    own_simulator: SimulatorProcess, connect: Connect
) -> None:
    own_simulator._arguments = ["--office", "finance"]
    own_simulator.start()
    trader = await new_trader(connect(own_simulator), type_="D01")
    own_simulator.kill()
    own_simulator._arguments = ["--office", "tax"]
    with pytest.raises(AssertionError, match="--office finance, not of --office tax"):
        own_simulator.start()

    own_simulator._arguments = []
    own_simulator.start()

    trader.authority = connect(own_simulator)
    assert await trader.verdicts(trader.issue(trader.number(0))) == [ACCEPTED]


@pytest.mark.parametrize("type_", ["081", "082"])
async def test_fully_digital_invoices_go_the_whole_way(
    authority: GrpcAuthority, type_: str
) -> None:
    trader = await new_trader(authority, type_=type_, count=9000)
    assert (trader.grant.code, trader.grant.count, len(trader.number(0))) == ("", 5000, 20)
    blue, red, voided, blank, cured = (trader.number(ordinal) for ordinal in range(4995, 5000))
    rejected = broken(trader.issue(cured))

    assert await trader.verdicts(
        trader.issue(blue),
        trader.red(red, original=blue),
        trader.void(blue),
        trader.issue(voided),
        trader.void(voided),
        trader.blank_void(blank),
        rejected,
        trader.void(cured, original=rejected),
        trader.issue(trader.number(5000)),
    ) == [
        ACCEPTED,
        ACCEPTED,
        ("REJECTED", "RED_EXISTS"),
        ACCEPTED,
        ACCEPTED,
        ACCEPTED,
        ("SIGNATURE_REJECTED", "SIGNATURE_INVALID"),
        ACCEPTED,
        NOT_GRANTED,
    ]
    await give_back(trader, 0, 4995)
    assert await trader.verdicts(trader.issue(trader.number(4994))) == [NOT_GRANTED]


async def test_a_grant_says_until_which_day_its_numbers_may_be_issued(
    own_simulator: SimulatorProcess, connect: Connect
) -> None:
    own_simulator._arguments = ["--issue-days", "30"]
    own_simulator.start()
    before = datetime.now(tz=SHANGHAI).date()
    grant = (await new_trader(connect(own_simulator))).grant
    after = datetime.now(tz=SHANGHAI).date()
    expected = {(day + timedelta(days=30)).isoformat() for day in (before, after)}
    assert grant.issue_deadline in expected

    # The days are kept over a restart that does not name them, and so is what was granted.
    own_simulator.kill()
    own_simulator._arguments = []
    own_simulator.start()
    own_simulator.set_windows()
    authority = connect(own_simulator)

    assert await authority.get_grant(grant.request_id) == grant
    assert (await new_trader(authority)).grant.issue_deadline >= grant.issue_deadline
    assert own_simulator.grants()[0].issue_deadline == grant.issue_deadline


async def test_a_grant_without_deadline_says_none(authority: GrpcAuthority) -> None:
    assert (await new_trader(authority)).grant.issue_deadline == ""


async def give_back(trader: Trader, first: int, count: int) -> str:
    """Return numbers of the trader's grant and tell the serial."""
    grant: Grant = trader.grant
    returned = await trader.authority.return_stock(
        request_id=new_id(),
        tax_number=trader.tax_number,
        type=grant.type,
        code=grant.code,
        prefix=grant.prefix,
        width=grant.width,
        first=grant.first + first,
        count=count,
    )
    return returned.return_serial
