"""What a dead worker has reserved is found; what a living one is signing is left alone."""

from ledger.port import Ledger
from tests.ledger import building
from tests.ledger.building import NOW, WORKER, a_reservation
from tests.ledger.conformance.conftest import Books


async def _reserve_as(ledger: Ledger, worker: str, *request_ids: str) -> None:
    await building.commit(
        ledger, (), [a_reservation(request_id) for request_id in request_ids], worker=worker
    )


async def test_ones_own_entries_are_found_at_once_oldest_first(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    await _reserve_as(ledger, WORKER, "r-1", "r-2", "r-3")

    found = await ledger.orphans(worker=WORKER, now=NOW, count_max=2)

    assert [entry.request_id for entry in found] == ["r-1", "r-2"]


async def test_settled_entries_are_no_orphans(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    await building.issue(ledger, "r-1")

    assert await ledger.orphans(worker=WORKER, now=NOW, count_max=10) == []


async def test_another_workers_entries_are_found_when_its_heart_has_stopped(
    ledger: Ledger,
) -> None:
    await building.open_shop(ledger)
    await ledger.beat("other", NOW)
    await _reserve_as(ledger, "other", "r-1")

    living = await ledger.orphans(worker=WORKER, now=NOW + 2.9, count_max=10)
    dead = await ledger.orphans(worker=WORKER, now=NOW + 3.0, count_max=10)
    await ledger.beat("other", NOW + 2.0)
    revived = await ledger.orphans(worker=WORKER, now=NOW + 3.0, count_max=10)

    assert (len(living), len(dead), len(revived)) == (0, 1, 0)


async def test_entries_of_a_worker_nobody_knows_are_found(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    await _reserve_as(ledger, "never enrolled", "r-1")

    assert len(await ledger.orphans(worker=WORKER, now=NOW, count_max=10)) == 1


async def test_after_a_restart_the_last_workers_entries_are_orphans_at_once(
    storage: Books,
) -> None:
    before = await storage.open(worker="before")
    await building.open_shop(before)
    await _reserve_as(before, "before", "r-1")

    after = await storage.open(worker="after", now=NOW + 0.1)
    found = await after.orphans(worker="after", now=NOW + 0.1, count_max=10)

    assert [entry.request_id for entry in found] == ["r-1"]
    settled = await building.commit(after, [building.signed(found[0])])
    assert settled.settled[0].signature is not None
