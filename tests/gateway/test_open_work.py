"""What is open is resumed whatever stands before it: many that cannot end, or one that hangs."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from gateway.job import Key
from gateway.open_work import OpenWork
from invoice.errors import AuthorityUnavailable
from ledger.records import GrantRecord
from tests.gateway.desk import QuickClock

TAX, FINANCE = "026", "D01"
# More than two pages of the ledger.
MANY = 250


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield


def wishes(type_: str, count: int) -> list[GrantRecord]:
    return [
        GrantRecord(
            tenant="default",
            request_id=f"{type_}-{at}",
            authority_request_id=f"authority-{type_}-{at}",
            tax_number="91110000AYTLHUJ0ET",
            type=type_,
            count=1,
            state="REQUESTED",
        )
        for at in range(count)
    ]


async def hangs(_: GrantRecord) -> None:
    await asyncio.Event().wait()


async def unavailable(_: GrantRecord) -> None:
    raise AuthorityUnavailable("nobody there")


async def broken(_: GrantRecord) -> None:
    raise ZeroDivisionError


@dataclass(slots=True)
class Book:
    """Wishes in the order they came up; ``trouble`` meets all of a type, or one by its id."""

    open: list[GrantRecord]
    trouble: dict[str, Callable[[GrantRecord], Awaitable[None]]]
    asked: Counter[str] = field(default_factory=Counter)
    ended: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    asked_twice: asyncio.Event = field(default_factory=asyncio.Event)

    async def find(self, *, after: Key, count_max: int) -> list[GrantRecord]:
        ids = [one.request_id for one in self.open]
        begin = ids.index(after[1]) + 1 if after[1] else 0
        left = [one for one in self.open[begin:] if one.request_id not in self.ended]
        return left[:count_max]

    async def carry_on(self, wish: GrantRecord) -> GrantRecord:
        self.asked[wish.request_id] += 1
        if self.asked[wish.request_id] > 1:
            self.asked_twice.set()
        trouble = self.trouble.get(wish.request_id) or self.trouble.get(wish.type)
        if trouble is not None:
            await trouble(wish)
        self.ended.append(wish.request_id)
        self.changed.set()
        return wish

    async def until_ended(self, *request_ids: str) -> None:
        async with asyncio.timeout(10):
            while not set(request_ids) <= set(self.ended):
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def resumed(book: Book) -> AsyncIterator[None]:
    work = OpenWork("draw", find=book.find, carry_on=book.carry_on, clock=QuickClock())
    await work.start()
    try:
        yield
    finally:
        await work.close()


@pytest.mark.parametrize("trouble", [hangs, unavailable, broken])
async def test_one_authoritys_trouble_is_not_the_others(
    trouble: Callable[[GrantRecord], Awaitable[None]],
) -> None:
    book = Book([*wishes(FINANCE, MANY), *wishes(TAX, 1)], {FINANCE: trouble})

    async with resumed(book):
        await book.until_ended(f"{TAX}-0")

    # Its own come first with the finance department, and a page of them is not over by then.
    assert sum(book.asked.values()) < MANY


@pytest.mark.parametrize("trouble", [hangs, unavailable, broken])
async def test_many_that_cannot_end_block_none_behind_them(
    trouble: Callable[[GrantRecord], Awaitable[None]],
) -> None:
    stuck = wishes(TAX, MANY)
    last = stuck.pop()
    book = Book([*stuck, last], {one.request_id: trouble for one in stuck})

    async with resumed(book):
        await book.until_ended(last.request_id)

    assert book.asked.keys() == {one.request_id for one in book.open}


async def test_what_could_not_end_is_asked_for_again_round_and_round() -> None:
    book = Book(wishes(TAX, MANY), {TAX: unavailable})

    async with resumed(book):
        async with asyncio.timeout(10):
            await book.asked_twice.wait()
        assert len(book.asked) == MANY
        book.trouble.clear()
        await book.until_ended(*(one.request_id for one in book.open))
