"""What a dead worker has reserved is found; what a living one is signing is left alone."""

from ledger.port import Ledger
from ledger.records import SigningPlace
from tests.ledger import building
from tests.ledger.building import (
    MACHINE_NUMBERS,
    NOW,
    OTHER_TAX_NUMBER,
    TAX_NUMBER,
    TENANT,
    WORKER,
    a_reservation,
)
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


PLACE = SigningPlace(TAX_NUMBER, MACHINE_NUMBERS[TAX_NUMBER], TENANT)
OTHER_PLACE = SigningPlace(OTHER_TAX_NUMBER, MACHINE_NUMBERS[OTHER_TAX_NUMBER], TENANT)


async def _open_two(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    await building.open_shop(ledger, tax_number=OTHER_TAX_NUMBER, code="011002600199")


async def test_the_places_where_something_waits_are_told_once_each(ledger: Ledger) -> None:
    await _open_two(ledger)
    nowhere = await ledger.signing_places(count_max=10)
    (voided,) = await building.issue(ledger, "voided")
    await building.decide_void(ledger, voided)
    stated = await ledger.signing_places(count_max=10)
    await _reserve_as(ledger, WORKER, "r-1", "r-2")
    await building.reserve(ledger, a_reservation("r-3", tax_number=OTHER_TAX_NUMBER))

    both = await ledger.signing_places(count_max=10)
    (first,) = await ledger.signing_places(count_max=1)
    (second,) = await ledger.signing_places(
        after=(first.tax_number, first.machine_number), count_max=10
    )

    assert (nowhere, stated) == ([], [PLACE])
    assert both == sorted([PLACE, OTHER_PLACE]) == [first, second]
    last = second.tax_number, second.machine_number
    assert await ledger.signing_places(after=last, count_max=10) == []


async def test_what_waits_at_one_place_is_told_apart(ledger: Ledger) -> None:
    await _open_two(ledger)
    (voided,) = await building.issue(ledger, "voided")
    await building.decide_void(ledger, voided)
    await _reserve_as(ledger, WORKER, "r-1", "r-2")
    await building.reserve(ledger, a_reservation("r-3", tax_number=OTHER_TAX_NUMBER))

    here, there = [
        await ledger.orphans(worker=WORKER, now=NOW, count_max=10, place=place)
        for place in (PLACE, OTHER_PLACE)
    ]
    stated, none = [
        await ledger.orphan_statements(worker=WORKER, now=NOW, count_max=10, place=place)
        for place in (PLACE, OTHER_PLACE)
    ]

    assert [one.request_id for one in here] == ["r-1", "r-2"]
    assert [one.request_id for one in there] == ["r-3"]
    assert [one.number for one in stated] == [voided.number]
    assert none == []


async def test_a_worker_lives_for_three_seconds_after_its_last_beat(ledger: Ledger) -> None:
    await ledger.beat("other", NOW)

    assert await ledger.alive("other", NOW + 2.9)
    assert not await ledger.alive("other", NOW + 3.0)
    assert not await ledger.alive("never enrolled", NOW)
