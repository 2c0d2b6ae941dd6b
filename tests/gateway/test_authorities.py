"""Every taxpayer has one authority, which decides about it and whose clock judges it."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from authority.port import TypeAllowance
from gateway.authorities import Authorities, office_of
from gateway.register import Application, Registrar
from invoice.document import Party
from invoice.errors import AuthorityUnavailable, ClockSkew, NotServed
from invoice.types import TYPES, Office
from ledger.records import Act
from tests.fakes.granting_authority import GrantingAuthority
from tests.fakes.tax_office import bureau, tax_office
from tests.gateway.desk import Desk, bound, open_desk

CHARITY = "53110000MJ0YANG1YJ"
AHEAD_S = 3600.0


@dataclass(slots=True)
class HandClock:
    """A clock that stands still."""

    wall_s: float = 1_800_000_000.0
    sleeps: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.wall_s

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)


def application(type_code: str) -> Application:
    return Application(
        seller=Party(
            tax_number=CHARITY, name="示例助学公益基金会", address_phone="某路6号", bank_account=""
        ),
        wanted=(TypeAllowance(type=type_code, rates_ppm=(), invoice_limit_fen=0),),
        points=((0, ""),),
    )


async def register(desk: Desk, authorities: Authorities, type_code: str, *, dry: bool) -> None:
    registrar = Registrar(ledger=desk.ledger, authorities=authorities, signer=desk.signer)
    await registrar.register(
        application(type_code),
        binding=bound("register-charity"),
        act=Act(actor="test", reason="", at=desk.clock.now()),
        dry_run=dry,
    )


def test_donation_receipts_are_the_finance_departments_and_nothing_else_is() -> None:
    assert [code for code in TYPES if office_of(code) is Office.FINANCE] == ["D01"]
    assert office_of("no such type") is Office.TAX


def test_each_type_is_asked_of_its_own_authority() -> None:
    tax, finance = GrantingAuthority(), GrantingAuthority()
    authorities = Authorities(tax=bureau(tax), finance=bureau(finance))

    asked: list[object] = [
        authorities.of_type("026"),
        authorities.of_types(["028", "026"]),
        authorities.of_types([]),
        authorities.of_type("D01"),
    ]

    assert [one is tax for one in asked] == [True, True, True, False]
    assert asked[-1] is finance


def test_without_a_finance_department_its_types_have_no_authority() -> None:
    authorities = tax_office(GrantingAuthority())

    assert (authorities.serves("026"), authorities.serves("D01")) == (True, False)
    with pytest.raises(AuthorityUnavailable):
        authorities.of_type("D01")
    authorities.check_clock(["D01"])  # nobody has told the time
    assert not authorities.clock_trusted(["D01"])


def test_a_clock_is_judged_by_the_taxpayers_own_authority() -> None:
    clock = HandClock()
    tax, finance = bureau(None, clock), bureau(None, clock)
    authorities = Authorities(tax=tax, finance=finance)

    assert not authorities.clock_trusted(["026"])
    tax.time.observe(clock.now(), 0.0, 0.0)
    finance_known = authorities.clock_trusted(["D01"])
    finance.time.observe(clock.now() + AHEAD_S, 0.0, 0.0)

    assert authorities.clock_trusted(["026"])
    assert not finance_known
    assert authorities.clock_trusted(["026", "D01"])
    authorities.check_clock(["026"])
    with pytest.raises(ClockSkew):
        authorities.check_clock(["D01"])


async def test_a_charity_registers_with_the_finance_department(tmp_path: Path) -> None:
    tax, finance = GrantingAuthority(), GrantingAuthority()
    async with open_desk(tmp_path) as desk:
        authorities = Authorities(tax=bureau(tax), finance=bureau(finance))
        await register(desk, authorities, "D01", dry=False)
        record = await desk.ledger.taxpayer("default", CHARITY)

    assert (len(tax.devices), len(finance.devices)) == (0, 1)
    assert record is not None
    assert record.taxpayer.grants["D01"].rates_ppm == frozenset()


@pytest.mark.parametrize("dry", [True, False])
async def test_without_a_finance_department_no_charity_is_registered(
    tmp_path: Path, dry: bool
) -> None:
    tax = GrantingAuthority()
    async with open_desk(tmp_path) as desk:
        with pytest.raises(NotServed) as refused:
            await register(desk, tax_office(tax), "D01", dry=dry)
        known = await desk.ledger.find_binding("default", "register-charity")

    assert refused.value.facts == {"kind": "D01"}
    assert (known, tax.devices) == (None, {})


async def test_a_registration_is_answered_again_when_the_department_is_gone(
    tmp_path: Path,
) -> None:
    async with open_desk(tmp_path) as desk:
        both = Authorities(tax=bureau(GrantingAuthority()), finance=bureau(GrantingAuthority()))
        await register(desk, both, "D01", dry=False)

        await register(desk, tax_office(GrantingAuthority()), "D01", dry=False)
