"""Taxpayers read by turns, lists before watches but not for ever, and too many are told so at once."""

import asyncio
from collections import Counter
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from random import Random

import pytest

from invoice.errors import LedgerUnavailable, Overloaded
from ledger import turns
from ledger.queries import InvoiceFilter
from ledger.sqlite import SqliteLedger
from ledger.turns import Turns
from tests.ledger import building

SEED = 20_261_122
MINE, YOURS = building.TAX_NUMBER, building.OTHER_TAX_NUMBER


class _Readers:
    """Readers that note when they had their turn, each until the loop's next rounds."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.had: list[str] = []

    def list(self, owner: str) -> "asyncio.Task[None]":
        """Somebody asks for a list."""
        return self._reader(f"list of {owner}", self.turns.for_list(owner))

    def watch(self, owner: str) -> "asyncio.Task[None]":
        """A watch asks for its piece."""
        return self._reader(f"watch of {owner}", self.turns.for_watch(owner))

    def _reader(self, name: str, turn: AbstractAsyncContextManager[None]) -> "asyncio.Task[None]":
        async def read() -> None:
            async with turn:
                self.had.append(name)
                await asyncio.sleep(0)

        return asyncio.create_task(read())


async def test_taxpayers_take_turns() -> None:
    readers = _Readers()
    async with readers.turns.for_list("somebody"):
        asked = [readers.list(owner) for owner in "aaaabbc"]
        await asyncio.sleep(0)

    await asyncio.gather(*asked)

    assert readers.had == [f"list of {owner}" for owner in "abcabaa"]


async def test_lists_go_before_watches_but_not_for_ever() -> None:
    readers = _Readers()
    async with readers.turns.for_list("somebody"):
        asked = [readers.watch("a") for _ in range(20)]
        asked += [readers.list("b") for _ in range(16)]
        await asyncio.sleep(0)

    await asyncio.gather(*asked)

    last_list = len(readers.had) - readers.had[::-1].index("list of b")
    among_lists = Counter(readers.had[:last_list])
    assert readers.had[0] == "list of b"
    assert among_lists["watch of a"] in (3, 4)
    assert Counter(readers.had) == {"watch of a": 20, "list of b": 16}


async def test_too_many_lists_are_told_so_at_once() -> None:
    readers = _Readers()
    each, all_of_them = turns._LISTS_WAITING_MAX_PER_TAXPAYER, turns._LISTS_WAITING_MAX
    async with readers.turns.for_list("somebody"):
        asked = [readers.list("a") for _ in range(each)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as of_one:
            await readers.list("a")
        asked += [readers.list(f"b-{at // each}") for at in range(all_of_them - each)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as of_all:
            await readers.list("c")

        asked[0].cancel()
        await asyncio.wait(asked[:1])
        asked.append(readers.list("c"))
        await asyncio.sleep(0)

    await asyncio.gather(*asked[1:])
    assert of_one.value.facts == {"waiting_count": str(each)}
    assert of_all.value.facts == {"waiting_count": str(all_of_them)}
    assert of_one.value.retry_s
    assert of_all.value.retry_s
    assert len(readers.had) == all_of_them


async def test_whoever_leaves_whenever_the_others_have_their_turn() -> None:
    print(f"seed {SEED}")
    rng = Random(SEED)
    for _ in range(200):
        readers = _Readers()
        asked = [
            rng.choice((readers.list, readers.watch))(rng.choice("abc"))
            for _ in range(rng.randrange(1, 12))
        ]
        leaving = [reader for reader in asked if rng.random() < 0.4]
        for reader in leaving:
            for _ in range(rng.randrange(4)):
                await asyncio.sleep(0)
            reader.cancel()
        answers = await asyncio.gather(*asked, return_exceptions=True)

        stayed = [answer for answer in answers if answer is None]
        assert len(stayed) >= len(asked) - len(leaving)
        assert len(readers.had) >= len(stayed)
        assert not readers.turns._taken
        assert not readers.turns._lists._owners
        assert not readers.turns._watches._owners
        assert readers.turns._lists._count == readers.turns._watches._count == 0


async def test_one_taxpayers_lists_do_not_hold_up_anothers(tmp_path: Path) -> None:
    ledger = await _opened(tmp_path)
    order: list[str] = []

    async def read(tax_number: str) -> None:
        await _listed(ledger, tax_number)
        order.append(tax_number)

    async with ledger._turns.for_list("somebody"):
        asked = [asyncio.create_task(read(MINE)) for _ in range(10)]
        await asyncio.sleep(0)
        asked.append(asyncio.create_task(read(YOURS)))
        await asyncio.sleep(0)
    await asyncio.gather(*asked)

    assert order.index(YOURS) <= 1
    await ledger.close()


async def test_a_close_answers_what_waits_without_reading_it(tmp_path: Path) -> None:
    ledger = await _opened(tmp_path)
    async with ledger._turns.for_list("somebody"):
        lists = [asyncio.create_task(_listed(ledger, MINE)) for _ in range(16)]
        watches = [asyncio.create_task(ledger.positions(building.TENANT, MINE)) for _ in range(50)]
        await asyncio.sleep(0)

        await ledger.close()

    answers = await asyncio.gather(*lists, *watches, return_exceptions=True)
    assert {type(answer) for answer in answers} == {LedgerUnavailable}


async def _opened(folder: Path) -> SqliteLedger:
    ledger = SqliteLedger(folder / "ledger.db", verify=building.verify)
    await ledger.start(building.WORKER, building.NOW)
    for tax_number in (MINE, YOURS):
        await building.register(ledger, tax_number)
    return ledger


async def _listed(ledger: SqliteLedger, tax_number: str) -> None:
    wanted = InvoiceFilter(tax_number=tax_number)
    await ledger.list_invoices(building.TENANT, wanted, count_max=5, bytes_max=1_000)
