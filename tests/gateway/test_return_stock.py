"""Returns end only by a yes or by a no of the authority's own; meanwhile nobody has the numbers.

The ledger is SQLite; the authority is one in memory that keeps what it was given back.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from authority.port import StockReturn
from gateway.return_stock import Returner
from invoice.errors import AuthorityRefused, AuthorityUnavailable
from ledger.records import Act, ReturnRecord
from tests.fakes.granting_authority import (
    GrantingAuthority,
    ReturnedNumbers,
    Trouble,
    away,
    lost,
    refused,
    throttled,
)
from tests.fakes.tax_office import tax_office
from tests.gateway.desk import TAX_NUMBER, TENANT, Desk, bound, open_desk

WITHIN_S = 10.0
STOCK = 1000
# Refusals that name no reason of the authority's (from a proxy, or about our own certificate), or
# one that says nothing about the numbers.
PUT_OFF = [
    throttled,
    refused("UNAUTHENTICATED", "UNAUTHENTICATED"),
    refused("PERMISSION_DENIED", "PERMISSION_DENIED"),
    refused(""),
    refused("TAXPAYER_UNKNOWN", "NOT_FOUND"),
]


@dataclass(slots=True)
class Counter:
    """Where returns are asked for: 1,000 numbers at one point."""

    desk: Desk
    returner: Returner
    authority: GrantingAuthority

    async def give_back(
        self, request_id: str, count: int = 10, segment_id: int = 2, *, dry_run: bool = False
    ) -> tuple[ReturnRecord, bool]:
        return await self.returner.give_back(
            tax_number=TAX_NUMBER,
            segment_id=segment_id,
            count=count,
            binding=bound(request_id),
            act=Act(actor="test", reason="", at=self.desk.clock.now()),
            dry_run=dry_run,
        )

    async def open(self) -> dict[str, str]:
        """State by request id of what still waits."""
        return {one.request_id: one.state for one in await self.desk.ledger.open_returns()}

    async def available(self) -> int:
        """How many numbers can be issued."""
        levels = await self.desk.ledger.stock(TENANT, TAX_NUMBER)
        return sum(level.available_count for level in levels)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Let returns go on until ``holds``; fails after ``WITHIN_S``."""
        async with asyncio.timeout(WITHIN_S):
            await self.authority.until(holds)


class SlowAuthority(GrantingAuthority):
    """It takes its time to answer."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_at_all, self.answers = asyncio.Event(), asyncio.Event()
        self.try_count = 0

    async def return_stock(self, **numbers: Any) -> StockReturn:
        self.try_count += 1
        self.asked_at_all.set()
        await self.answers.wait()
        return await super().return_stock(**numbers)


@asynccontextmanager
async def open_counter(
    folder: Path, authority: GrantingAuthority | None = None
) -> AsyncIterator[Counter]:
    authority = authority or GrantingAuthority()
    async with open_desk(folder, numbers=STOCK) as desk:
        returner = Returner(ledger=desk.ledger, authorities=tax_office(authority), clock=desk.clock)
        try:
            yield Counter(desk, returner, authority)
        finally:
            await returner.close()


async def test_the_authority_is_told_which_numbers_and_answers_a_serial(tmp_path: Path) -> None:
    async with open_counter(tmp_path) as counter:
        returned, replayed = await counter.give_back("b", 10)
        again = await counter.give_back("b", 10)

        assert (returned.state, returned.return_serial, replayed) == ("RETURNED", "RT1", False)
        assert again == (returned, True)
        assert [*counter.authority.returns.values()] == [
            ReturnedNumbers(TAX_NUMBER, "026", "011002600111", "", 8, 991, 10)
        ]
        assert counter.authority.asked.total() == 1
        assert await counter.available() == STOCK - 10


@pytest.mark.parametrize("trouble", PUT_OFF)
async def test_a_return_that_is_put_off_waits_and_the_same_id_ends_it(
    tmp_path: Path, trouble: Trouble
) -> None:
    async with open_counter(tmp_path) as counter:
        counter.authority.return_troubles = [trouble]

        with pytest.raises(AuthorityUnavailable) as put_off:
            await counter.give_back("b")
        waiting, left = await counter.open(), await counter.available()
        returned, replayed = await counter.give_back("b")

        assert put_off.value.retry_s == (1.5 if trouble is throttled else None)
        assert (waiting, left) == ({"b": "REQUESTED"}, STOCK - 10)
        assert (returned.state, replayed) == ("RETURNED", True)


@pytest.mark.parametrize("trouble", [lost, away])
async def test_a_return_goes_on_by_itself_under_the_same_id(
    tmp_path: Path, trouble: Trouble
) -> None:
    async with open_counter(tmp_path) as counter:
        counter.authority.return_troubles = [trouble, trouble, throttled]
        with pytest.raises(AuthorityUnavailable):
            await counter.give_back("b")

        await counter.returner.start()
        await counter.until(lambda: counter.authority.asked.total() == 4)
        returned, _ = await counter.give_back("b")

        assert returned.state == "RETURNED"
        assert len(counter.authority.asked) == len(counter.authority.returns) == 1
        assert not await counter.open()


async def test_a_return_that_a_dead_process_left_is_ended_by_the_next(tmp_path: Path) -> None:
    async with open_counter(tmp_path) as counter:
        counter.authority.return_troubles = [lost]
        with pytest.raises(AuthorityUnavailable):
            await counter.give_back("b")
        authority = counter.authority
    async with open_desk(tmp_path) as desk:
        returner = Returner(ledger=desk.ledger, authorities=tax_office(authority), clock=desk.clock)
        after = Counter(desk, returner, authority)
        await returner.start()
        await after.until(lambda: authority.asked.total() == 2)
        returned, replayed = await after.give_back("b")
        await returner.close()

        assert (returned.state, returned.return_serial, replayed) == ("RETURNED", "RT1", True)
        assert await after.available() == STOCK - 10


async def test_a_caller_that_hangs_up_does_not_end_the_return(tmp_path: Path) -> None:
    async with open_counter(tmp_path, SlowAuthority()) as counter:
        slow = cast("SlowAuthority", counter.authority)
        caller = asyncio.create_task(counter.give_back("b"))
        await slow.asked_at_all.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        slow.answers.set()
        returned, replayed = await counter.give_back("b")

        assert (returned.state, replayed) == ("RETURNED", True)
        assert slow.try_count == 1


async def test_a_no_of_the_authoritys_own_gives_the_numbers_back(tmp_path: Path) -> None:
    async with open_counter(tmp_path) as counter:
        counter.authority.return_troubles = [refused("NUMBER_USED")]

        for _ in range(2):
            with pytest.raises(AuthorityRefused) as error:
                await counter.give_back("b")
            assert error.value.facts["authority_reason"] == "NUMBER_USED"
        with pytest.raises(AuthorityRefused):  # tried dry, the id tells the same
            await counter.give_back("b", dry_run=True)

        assert not await counter.open()
        assert counter.authority.asked.total() == 1
        assert await counter.available() == STOCK


async def test_numbers_the_authority_has_already_are_never_available_again(tmp_path: Path) -> None:
    async with open_counter(tmp_path) as counter:
        counter.authority.return_troubles = [refused("ALREADY_RETURNED")]

        for replayed in (False, True):
            returned, again = await counter.give_back("b")
            assert (returned.state, returned.return_serial, again) == ("RETURNED", "", replayed)

        assert not await counter.open()
        assert await counter.available() == STOCK - 10


@pytest.mark.parametrize("trouble", [away, throttled])
async def test_a_return_that_cannot_end_blocks_no_other(tmp_path: Path, trouble: Trouble) -> None:
    async with open_counter(tmp_path) as counter:
        counter.authority.return_troubles = [away, away]
        for request_id in ("stuck", "behind"):
            with pytest.raises(AuthorityUnavailable):
                await counter.give_back(request_id)
        stuck, behind = await counter.desk.ledger.open_returns()
        counter.authority.standing[stuck.authority_request_id] = trouble

        await counter.returner.start()
        await counter.until(lambda: bool(counter.authority.returns))
        await counter.until(lambda: counter.authority.asked[stuck.authority_request_id] >= 4)

        assert await counter.open() == {"stuck": "REQUESTED"}
        assert [*counter.authority.returns] == [behind.authority_request_id]


async def test_a_hundred_that_cannot_end_block_none_behind_them(tmp_path: Path) -> None:
    async with open_counter(tmp_path) as counter:
        counter.authority.return_troubles = [away] * 102
        for at in range(102):
            with pytest.raises(AuthorityUnavailable):
                await counter.give_back(f"b-{at}", 1)
        *stuck, behind = await counter.desk.ledger.open_returns(count_max=200)
        counter.authority.standing |= {one.authority_request_id: away for one in stuck}

        await counter.returner.start()
        await counter.until(lambda: bool(counter.authority.returns))

        assert [*counter.authority.returns] == [behind.authority_request_id]
