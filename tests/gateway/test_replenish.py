"""A point that is low is filled up by itself: once for each shortage, whatever is lost on the way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.desk.lines import Lines
from gateway.desk.survey import Survey, TaxpayerLine
from gateway.desk.trends import Trends
from gateway.draw import Drawer
from gateway.replenish import Replenisher
from invoice.errors import LedgerUnavailable
from ledger.port import Ledger
from ledger.records import Act
from ledger.sqlite import SqliteLedger
from ledger.survey_records import CounterPlace, ThresholdRecord
from tests.fakes.cut_ledger import CutLedger
from tests.fakes.granting_authority import GrantingAuthority, away, lost, refused
from tests.fakes.tax_office import tax_office
from tests.gateway.hand_clock import HandClock
from tests.ledger import building
from tests.ledger.building import TAX_NUMBER, TENANT, TYPE

_LOW, _TARGET = 50, 200


@dataclass(slots=True)
class Shop:
    """A point that is filled up: what looks after it, and what was granted for it."""

    ledger: Ledger
    authority: GrantingAuthority
    clock: HandClock
    drawer: Drawer
    replenisher: Replenisher

    async def look(self) -> None:
        """Take a survey, and let what follows from it come to rest."""
        reading = await self.ledger.survey(self.clock.now())
        lines = Lines(Trends(), lambda _: True)
        taxpayers = {
            number: lines.taxpayer(one, None, self.clock.now())
            for number, one in reading.taxpayers.items()
        }
        self.replenisher.hear(a_survey(self.clock.now(), taxpayers))
        await self.replenisher.round()
        while running := list(self.replenisher._running.values()):
            await asyncio.gather(*running)

    async def left(self, point: int | None = 0) -> int:
        levels = await self.ledger.stock(TENANT, TAX_NUMBER, point=point)
        return sum(one.available_count for one in levels if one.point == point)

    async def in_pool(self) -> int:
        levels = await self.ledger.stock(TENANT, TAX_NUMBER)
        return sum(one.available_count for one in levels if one.point is None)

    @property
    def drawn(self) -> list[int]:
        """How many numbers each grant has, in the order granted."""
        return [grant.count for grant in self.authority.grants.values()]

    async def balanced(self) -> bool:
        return not [one for word in self.ledger.check_books() for one in word.findings]


def a_survey(now: float, taxpayers: dict[str, TaxpayerLine]) -> Survey:
    return Survey(
        at=now,
        taxpayers=taxpayers,
        authority_reachable=True,
        authority_lost_at=None,
        finance_reachable=None,
        finance_lost_at=None,
        signing_available=True,
        ledger_writable=True,
        clock_ahead_s=None,
        clamped_s=0.0,
        issued_per_minute=0,
        uploaded_per_minute=0,
    )


@asynccontextmanager
async def open_shop(
    folder: Path,
    authority: GrantingAuthority,
    *,
    stock: int = 40,
    pool: int = 0,
    points: int = 1,
    holding_count_max: int = 1_000_000,
    ledger_kind: type[SqliteLedger] = SqliteLedger,
) -> AsyncIterator[Shop]:
    """A shop whose points are below their threshold."""
    ledger = ledger_kind(folder / "ledger.db", verify=building.verify)
    clock = HandClock(building.NOW)
    await ledger.start(building.WORKER, clock.now())
    if await ledger.taxpayer(TENANT, TAX_NUMBER) is None:
        await building.register(ledger, point_count=points, holding_count_max=holding_count_max)
        await building.draw(ledger, stock * points + pool, 90_000_001)
        for point in range(points):
            await building.assign(ledger, stock, point)
        await ledger.set_stock_threshold(
            ThresholdRecord(
                tax_number=TAX_NUMBER,
                point=None,
                type=TYPE,
                low_count=_LOW,
                target_count=_TARGET,
                auto_draw=True,
            ),
            binding=building.binding("set_stock_threshold"),
            act=Act(actor="operator", reason="test", at=clock.now()),
        )
    drawer = Drawer(ledger=ledger, authorities=tax_office(authority), clock=clock)
    replenisher = Replenisher(ledger=ledger, drawer=drawer, clock=clock)
    try:
        yield Shop(ledger, authority, clock, drawer, replenisher)
    finally:
        await replenisher.close()
        await drawer.close()
        await ledger.close()


async def test_what_the_pool_has_is_assigned_and_nothing_is_drawn(tmp_path: Path) -> None:
    async with open_shop(tmp_path, GrantingAuthority(), pool=500) as shop:
        await shop.look()

        assert await shop.left() == _TARGET
        assert await shop.in_pool() == 500 - (_TARGET - 40)
        assert shop.drawn == []
        assert await shop.balanced()


async def test_what_the_pool_lacks_is_drawn_once_however_often_it_is_looked(tmp_path: Path) -> None:
    async with open_shop(tmp_path, GrantingAuthority(), pool=60) as shop:
        for _ in range(5):
            await shop.look()

        assert await shop.left() == _TARGET
        assert shop.drawn == [_TARGET - 40 - 60]
        records = await shop.ledger.audit_records(
            TENANT, parent="", actor="gateway", before=2**63 - 1, count_max=10
        )
        assert [record.action for record in records] == ["assign_stock", "draw_stock"]
        assert await shop.balanced()


@pytest.mark.parametrize("moment", ["grant", "confirm"])
async def test_a_lost_answer_draws_once_also_over_a_restart(tmp_path: Path, moment: str) -> None:
    authority = GrantingAuthority()
    troubles = {"grant": authority.grant_troubles, "confirm": authority.confirm_troubles}[moment]
    troubles += [lost, lost]
    async with open_shop(tmp_path, authority) as shop:
        await shop.look()
        cut_off = await shop.left()
    async with open_shop(tmp_path, authority) as shop:
        await shop.look()
        await shop.look()

        assert cut_off == 40
        assert shop.drawn == [_TARGET - 40]
        assert await shop.left() == _TARGET
        assert await shop.balanced()


async def test_a_crash_between_decision_and_draw_draws_once(tmp_path: Path) -> None:
    authority = GrantingAuthority(grant_troubles=[away] * 3)
    async with open_shop(tmp_path, authority) as shop:
        await shop.look()
        [opened] = await shop.ledger.open_replenishments()
    async with open_shop(tmp_path, authority) as shop:
        for _ in range(4):
            await shop.look()

        assert opened.draw_count == _TARGET - 40
        assert shop.drawn == [_TARGET - 40]
        assert await shop.ledger.open_replenishments() == []
        assert await shop.balanced()


async def test_a_refusal_is_not_asked_again_for_ten_minutes_then_twice_as_long(
    tmp_path: Path,
) -> None:
    no = refused("NO_STOCK")
    authority = GrantingAuthority(grant_troubles=[no] * 2)
    async with open_shop(tmp_path, authority) as shop:
        await shop.look()
        await shop.look()
        first = sum(authority.asked.values())
        shop.clock.passed_s += 600.0
        await shop.look()
        second = sum(authority.asked.values())
        shop.clock.passed_s += 1199.0
        await shop.look()
        third = sum(authority.asked.values())
        shop.clock.passed_s += 1.0
        await shop.look()

        assert (first, second, third) == (1, 2, 2)
        assert await shop.left() == _TARGET


async def test_points_that_are_low_together_share_the_pool_and_draw_the_rest(
    tmp_path: Path,
) -> None:
    async with open_shop(tmp_path, GrantingAuthority(), pool=200, points=3) as shop:
        await shop.look()
        await shop.look()

        assert [await shop.left(point) for point in range(3)] == [_TARGET] * 3
        assert sum(shop.drawn) == 3 * (_TARGET - 40) - 200
        assert await shop.in_pool() == 0
        assert await shop.balanced()


async def test_no_more_is_drawn_than_may_be_held(tmp_path: Path) -> None:
    async with open_shop(tmp_path, GrantingAuthority(), holding_count_max=65) as shop:
        await shop.look()
        await shop.look()

        assert shop.drawn == [25]
        assert await shop.left() == 65


async def test_where_nothing_more_may_be_held_nothing_is_asked(tmp_path: Path) -> None:
    authority = GrantingAuthority()
    async with open_shop(tmp_path, authority, holding_count_max=40) as shop:
        await shop.look()
        await shop.look()

        assert not authority.asked
        assert await shop.ledger.open_replenishments() == []
        assert await shop.balanced()


async def test_points_that_are_low_together_share_what_may_be_held(tmp_path: Path) -> None:
    """80 numbers are held and 250 may be: one draws all it wants, the other the ten that are left."""
    async with open_shop(tmp_path, GrantingAuthority(), points=2, holding_count_max=250) as shop:
        await shop.look()
        await shop.look()

        assert sorted(shop.drawn) == [10, _TARGET - 40]
        assert [await shop.left(point) for point in range(2)] == [_TARGET, 50]
        assert await shop.balanced()


async def test_room_in_the_holding_is_used_at_the_next_look(tmp_path: Path) -> None:
    async with open_shop(tmp_path, GrantingAuthority(), holding_count_max=40) as shop:
        await shop.look()
        await building.issue(shop.ledger, *(f"r-{at}" for at in range(30)))
        await shop.look()

        assert shop.drawn == [30]
        assert await shop.left() == 40
        assert await shop.balanced()


async def test_a_draw_by_somebody_else_in_between_is_no_reason_to_wait(tmp_path: Path) -> None:
    """The decision stands at 160 when another draw leaves room for 60: it is made anew, at once."""
    authority = GrantingAuthority()
    async with open_shop(tmp_path, authority, holding_count_max=200) as shop:
        place = CounterPlace(TAX_NUMBER, 0, TYPE)
        opened = await shop.ledger.open_replenishment(
            place, tenant=TENANT, draw_request_id="d", assign_request_id="a", now=shop.clock.now()
        )
        await building.draw(shop.ledger, 100, 95_000_001)
        await shop.look()
        await shop.look()

        assert opened is not None
        assert opened.draw_count == _TARGET - 40
        assert shop.drawn == [60]
        assert await shop.left() == _TARGET
        assert await shop.balanced()


async def test_draws_that_get_no_answer_hold_up_no_other_point(tmp_path: Path) -> None:
    """The answers of the first eight never come; the ninth and tenth have their turn all the same."""
    authority = GrantingAuthority(grant_troubles=[away] * 8)
    async with open_shop(tmp_path, authority, points=10) as shop:
        await shop.look()
        unanswered = dict(authority.asked)
        authority.standing = dict.fromkeys(unanswered, away)
        await shop.look()

        assert len(unanswered) == 8
        assert shop.drawn == [_TARGET - 40] * 2
        assert [await shop.left(point) for point in range(10)] == [40] * 8 + [_TARGET] * 2


async def test_what_the_pool_has_goes_out_while_draws_get_no_answer(tmp_path: Path) -> None:
    authority = GrantingAuthority(grant_troubles=[away] * 8)
    async with open_shop(tmp_path, authority, points=9) as shop:
        await building.draw(shop.ledger, 100, 95_000_001)
        await building.assign(shop.ledger, 100, 8)
        await shop.look()
        authority.standing = dict.fromkeys(authority.asked, away)
        await building.draw(shop.ledger, 500, 96_000_001)
        sold = (building.a_reservation(f"r-{at}", point=8) for at in range(100))
        await building.issue_all(shop.ledger, *sold)
        await shop.look()

        assert await shop.left(8) == _TARGET
        assert len(await shop.ledger.open_replenishments()) == 8
        assert await shop.balanced()


_STEPS = (
    "open_replenishment",
    "request_grant",
    "store_grant",
    "confirm_grant",
    "finish_replenishment",
)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", _STEPS)
async def test_a_crash_at_any_step_draws_and_assigns_once(
    tmp_path: Path, step: str, moment: str
) -> None:
    """The ledger is lost at one step, before or after its transaction; then the gateway starts anew."""
    authority = GrantingAuthority()
    async with open_shop(tmp_path, authority, ledger_kind=CutLedger) as shop:
        assert isinstance(shop.ledger, CutLedger)
        shop.ledger.cut(step, moment)
        with contextlib.suppress(LedgerUnavailable):
            await shop.look()
        assert shop.ledger.cut_count == 1
    async with open_shop(tmp_path, authority) as shop:
        for _ in range(3):
            await shop.look()

        assert shop.drawn == [_TARGET - 40]
        assert await shop.left() == _TARGET
        assert await shop.in_pool() == 0
        assert await shop.ledger.open_replenishments() == []
        assert await shop.balanced()


async def test_points_that_stay_low_cost_the_writer_nothing(tmp_path: Path) -> None:
    async with open_shop(
        tmp_path, GrantingAuthority(), holding_count_max=40, ledger_kind=CutLedger
    ) as shop:
        assert isinstance(shop.ledger, CutLedger)
        await shop.look()
        written = shop.ledger.write_count
        for _ in range(10):
            await shop.look()

        assert shop.ledger.write_count == written


async def test_sixty_four_callers_draining_a_point_cause_one_draw_a_shortage(
    tmp_path: Path,
) -> None:
    async with open_shop(tmp_path, GrantingAuthority(), stock=_LOW + 30) as shop:
        issued = 0
        for batch in range(6):
            waves = (
                building.commit(shop.ledger, [], [building.a_reservation(f"r-{batch}-{caller}")])
                for caller in range(64)
            )
            answers, _ = await asyncio.gather(asyncio.gather(*waves), shop.look())
            issued += sum(one.reserved[0].entry is not None for one in answers)
        await shop.look()

        # Each fill follows from a shortage of its own: it never brings more than the target.
        assert await shop.left() + issued == _LOW + 30 + sum(shop.drawn)
        assert _LOW < await shop.left() <= _TARGET
        assert await shop.in_pool() == 0
        assert await shop.ledger.open_replenishments() == []
        assert await shop.balanced()
