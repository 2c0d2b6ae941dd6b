"""What a dead process left is finished key by key: one that is away keeps nobody else waiting.

The ledger is SQLite, the device signs for real; each seller has a key of its own.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway import sweep
from gateway.sweep import Sweep
from invoice.errors import HsmUnavailable
from invoice.lifecycle import InvoiceState
from ledger.records import Entry
from tests.fakes.software_signer import SoftwareSigner
from tests.gateway.desk import (
    TAX_NUMBER,
    TENANT,
    Desk,
    open_desk,
    reservation,
    stock_up,
    void_of,
)
from tests.gateway.hand_clock import HandClock

OTHER = "91110000AYTLHUJ1EQ"
# More than one piece, so that a look from the oldest on would never come to anything else.
MANY = 2 * sweep._PIECE_COUNT + 6


async def settle_in(desk: Desk) -> None:
    """Let a second seller issue here, by another key."""
    await stock_up(
        desk,
        100,
        ("026",),
        tax_number=OTHER,
        machine_number="661000000002",
        label="device-2",
        code="011002600199",
    )


def tickets(tax_number: str, count: int) -> list[str]:
    return [f"{tax_number}-{at}" for at in range(count)]


async def issue_all(desk: Desk, tax_number: str, count: int) -> list[Entry]:
    waiters = [
        desk.issuer.submit(reservation(request_id, tax_number=tax_number))
        for request_id in tickets(tax_number, count)
    ]
    return [(await waiter).entry for waiter in waiters]


async def leave_behind(desk: Desk, tax_number: str, count: int) -> None:
    """Take numbers that this process will not get signed."""
    waiters = [
        desk.issuer.submit(reservation(request_id, tax_number=tax_number))
        for request_id in tickets(tax_number, count)
    ]
    for outcome in await asyncio.gather(*waiters, return_exceptions=True):
        assert isinstance(outcome, HsmUnavailable)


async def waiting(desk: Desk) -> Counter[str]:
    """How many entries and statements wait for a signature, by seller."""
    now = desk.clock.now()
    return Counter(
        [
            one.tax_number
            for find in (desk.ledger.orphans, desk.ledger.orphan_statements)
            for one in await find(worker=desk.worker, now=now, count_max=10_000)
        ]
    )


async def until_waiting(desk: Desk, **left: int) -> None:
    async with asyncio.timeout(10):
        while await waiting(desk) != Counter(left):  # noqa: ASYNC110 - a table, nothing to await
            await asyncio.sleep(0.005)


async def balanced(desk: Desk) -> bool:
    *_, last = desk.ledger.check_books()
    return bool(last.balanced)


async def away(signer: SoftwareSigner, label: str) -> str:
    """The key of a device, taken out of it."""
    key = await signer.ensure_key(label)
    signer.away.add(key.key_id)
    return key.key_id


async def restarted(signer: SoftwareSigner) -> SoftwareSigner:
    """The device at the next start, without the first seller's key."""
    after = signer.restarted()
    await after.start()
    await away(after, "device-1")
    return after


@asynccontextmanager
async def sweeping_once(desk: Desk) -> AsyncIterator[None]:
    """A sweep that never comes to the end of its first pause."""
    unmoved = Sweep(
        ledger=desk.ledger,
        signer=desk.signer,
        registry=desk.registry,
        issuer=desk.issuer,
        statements=desk.statements,
        clock=HandClock(),
        worker=desk.worker,
    )
    await unmoved.start()
    try:
        yield
    finally:
        await unmoved.close()


async def test_invoices_of_a_key_that_is_away_keep_nobody_elses_waiting(tmp_path: Path) -> None:
    signer = SoftwareSigner()
    async with open_desk(tmp_path, signer=signer) as desk:
        await settle_in(desk)
        await desk.sweep.close()
        signer.fail_next(1_000_000)
        await leave_behind(desk, TAX_NUMBER, MANY)
        await leave_behind(desk, OTHER, 3)

    signer = await restarted(signer)
    async with open_desk(tmp_path, signer=signer) as desk:
        await until_waiting(desk, **{TAX_NUMBER: MANY})
        signer.away.clear()
        await until_waiting(desk)

        assert await balanced(desk)


async def test_voids_of_a_key_that_is_away_keep_nobody_elses_waiting(tmp_path: Path) -> None:
    signer = SoftwareSigner()
    async with open_desk(tmp_path, signer=signer) as desk:
        await settle_in(desk)
        issued = await issue_all(desk, TAX_NUMBER, MANY) + await issue_all(desk, OTHER, 1)
        await desk.sweep.close()
        signer.fail_next(1_000_000)
        for at, entry in enumerate(issued):
            with pytest.raises(HsmUnavailable):
                await desk.void(void_of(entry, request_id=f"void-{at}"))

    signer = await restarted(signer)
    async with open_desk(tmp_path, signer=signer) as desk:
        await until_waiting(desk, **{TAX_NUMBER: MANY})
        signer.away.clear()
        await until_waiting(desk)

        assert await balanced(desk)


async def test_a_key_that_fails_without_being_away_keeps_nobody_elses_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = SoftwareSigner()
    async with open_desk(tmp_path, signer=signer) as desk:
        await settle_in(desk)
        await desk.sweep.close()
        signer.fail_next(1_000_000)
        await leave_behind(desk, TAX_NUMBER, 10)
        await leave_behind(desk, OTHER, MANY // 2)

    signer = await restarted(signer)
    signer.down = True
    async with open_desk(tmp_path, signer=signer) as desk:
        await desk.sweep.close()
        signer.down = False
        monkeypatch.setattr(signer, "available", lambda _: True)
        async with sweeping_once(desk):
            await until_waiting(desk, **{TAX_NUMBER: 10})


async def test_much_is_finished_without_a_pause(tmp_path: Path) -> None:
    signer = SoftwareSigner()
    async with open_desk(tmp_path, signer=signer) as desk:
        await desk.sweep.close()
        signer.fail_next(1_000_000)
        await leave_behind(desk, TAX_NUMBER, MANY)

    signer = await restarted(signer)
    async with open_desk(tmp_path, signer=signer) as desk:
        await desk.sweep.close()
        signer.away.clear()
        async with sweeping_once(desk):
            await until_waiting(desk)


@pytest.mark.parametrize("place_count_max", [1, 2])
async def test_the_sweep_goes_on_where_it_left_off_and_round_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place_count_max: int
) -> None:
    monkeypatch.setattr(sweep, "_PLACE_COUNT_MAX", place_count_max)
    signer = SoftwareSigner()
    async with open_desk(tmp_path, signer=signer) as desk:
        await settle_in(desk)
        await desk.sweep.close()
        signer.fail_next(1_000_000)
        await leave_behind(desk, TAX_NUMBER, 2)
        await leave_behind(desk, OTHER, 2)

    signer = await restarted(signer)
    async with open_desk(tmp_path, signer=signer) as desk:
        await until_waiting(desk, **{TAX_NUMBER: 2})
        signer.away.clear()
        await until_waiting(desk)


async def test_a_dead_workers_entry_is_finished_for_its_caller_at_once(tmp_path: Path) -> None:
    signer = SoftwareSigner()
    async with open_desk(tmp_path, signer=signer) as desk:
        await desk.sweep.close()
        signer.fail_next(1)
        await leave_behind(desk, TAX_NUMBER, 1)

    async with open_desk(tmp_path, signer=signer.restarted()) as desk:
        await desk.sweep.close()
        (request_id,) = tickets(TAX_NUMBER, 1)
        async with asyncio.timeout(10):
            issued = await desk.issue(reservation(request_id))

        assert issued.replayed
        assert issued.entry.state is InvoiceState.ISSUED
        assert await balanced(desk)


async def test_a_living_workers_entry_is_left_to_it_until_its_heart_stops(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await desk.sweep.close()
        beaten_at = desk.clock.now()
        await desk.ledger.beat("elsewhere", beaten_at + 60)
        await desk.ledger.commit((), [reservation("a")], worker="elsewhere", now=beaten_at)

        waiter = desk.issuer.submit(reservation("a"))
        meanwhile = [await desk.issue(reservation(f"b-{at}")) for at in range(20)]
        assert not waiter.done()
        assert len(desk.signer.signed) == len(meanwhile)

        desk.clock.offset_s = 120
        async with asyncio.timeout(10):
            issued = await waiter
        entry = await desk.ledger.find_request(TENANT, "a")
        assert issued.replayed
        assert entry == issued.entry
