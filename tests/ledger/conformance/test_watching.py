"""From a position on nothing is missed and nothing comes twice, whatever happens in between."""

from collections import Counter
from random import Random

import pytest

from invoice.errors import TaxpayerNotFound
from invoice.lifecycle import InvoiceState
from ledger.port import Ledger
from tests.ledger import building
from tests.ledger.building import NOW, SPECIAL_TYPE, TAX_NUMBER, TENANT, TYPE
from tests.ledger.conformance.conftest import Books
from tests.ledger.follower import Follower, open_two_meters

SEED = 20_260_706


async def test_changes_come_in_the_order_of_their_meter(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    (blue, other) = await building.issue_all(
        ledger,
        building.a_reservation("blue", type="007"),
        building.a_reservation("other", type="007"),
    )
    (red,) = await building.issue_all(ledger, building.a_red("red", blue, 100))
    await building.void(ledger, other)
    await building.upload(ledger, "s-1", rejected=[red.number])
    follower = Follower(type="007")

    await follower.read_all(ledger)

    told = [
        (change.what, change.record.entry.request_id)
        for change in follower.seen
        if change.record is not None
    ]
    assert told[:5] == [
        ("ISSUED", "blue"),
        ("ISSUED", "other"),
        *sorted([("ISSUED", "red"), ("PARTLY_REVERSED", "blue")], key=told.index),
        ("VOIDED", "other"),
    ]
    assert Counter(what for what, _ in told[5:]).keys() <= {"ACCEPTED", "REJECTED", "VOID_ACCEPTED"}


async def test_a_change_shows_the_invoice_as_it_stands_now(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    (entry,) = await building.issue(ledger, "a")
    await building.upload(ledger, "s-1")
    await building.void(ledger, entry)
    follower = Follower()

    await follower.read(ledger)

    now = await ledger.find_invoice(TENANT, TAX_NUMBER, entry.code, entry.number)
    assert [change.what for change in follower.seen] == ["ISSUED", "ACCEPTED", "VOIDED"]
    assert [change.record for change in follower.seen] == [now] * 3
    assert now is not None
    assert now.entry.state is InvoiceState.VOIDED


async def test_meters_are_merged_by_time(ledger: Ledger) -> None:
    await open_two_meters(ledger)
    for at in range(40):
        type_ = (TYPE, SPECIAL_TYPE)[at % 3 == 0]
        await building.issue_all(
            ledger, building.a_reservation(f"r-{at}", type=type_), now=NOW + at
        )
    follower = Follower(count_max=7)

    await follower.read_all(ledger)

    assert follower.issued() == [f"r-{at}" for at in range(40)]


async def test_one_meter_far_behind_is_not_overtaken(ledger: Ledger) -> None:
    await open_two_meters(ledger)
    for at in range(60):
        await building.issue(ledger, f"r-{at}", now=NOW + at)
    special = building.a_reservation("last", type=SPECIAL_TYPE)
    await building.issue_all(ledger, special, now=NOW + 100)
    follower = Follower(count_max=50)

    await follower.read_all(ledger)

    assert follower.issued() == [*(f"r-{at}" for at in range(60)), "last"]


async def test_a_clock_set_back_loses_nothing(ledger: Ledger) -> None:
    await open_two_meters(ledger)
    for at in range(40):
        type_ = (TYPE, SPECIAL_TYPE)[at % 2]
        await building.issue_all(
            ledger, building.a_reservation(f"r-{at}", type=type_), now=NOW - 30 * at
        )
    follower = Follower(count_max=5)

    await follower.read_all(ledger)

    assert Counter(follower.issued()) == Counter(f"r-{at}" for at in range(40))


async def test_positions_are_where_a_watch_begins_that_wants_no_past(ledger: Ledger) -> None:
    await open_two_meters(ledger)
    await building.issue(ledger, "before")
    follower = Follower()
    follower.positions = await ledger.positions(TENANT, TAX_NUMBER)

    await building.issue(ledger, "after")
    await follower.read_all(ledger)

    assert follower.issued() == ["after"]


async def test_a_meter_that_is_not_known_yet_begins_at_its_first_change(ledger: Ledger) -> None:
    await open_two_meters(ledger)
    follower = Follower()
    follower.positions = await ledger.positions(TENANT, TAX_NUMBER, type=TYPE)

    await building.issue_all(ledger, building.a_reservation("new", type=SPECIAL_TYPE))
    await follower.read_all(ledger)

    assert follower.issued() == ["new"]


async def test_only_one_type(ledger: Ledger) -> None:
    await open_two_meters(ledger)
    await building.issue(ledger, "a")
    await building.issue_all(ledger, building.a_reservation("b", type=SPECIAL_TYPE))
    follower = Follower(type=SPECIAL_TYPE)

    await follower.read_all(ledger)

    assert follower.issued() == ["b"]
    assert (await ledger.positions(TENANT, TAX_NUMBER, type=SPECIAL_TYPE)) == follower.positions


async def test_a_point_is_told_of_its_own_and_moves_on_with_the_others(ledger: Ledger) -> None:
    await building.register(ledger)
    await building.draw(ledger, 100)
    await building.assign(ledger, 50, 0)
    await building.assign(ledger, 50, 1)
    for at in range(10):
        await building.issue_all(ledger, building.a_reservation(f"r-{at}", point=at % 2))
    follower = Follower(point=1, count_max=3)

    await follower.read_all(ledger)

    assert follower.issued() == ["r-1", "r-3", "r-5", "r-7", "r-9"]
    reached = await ledger.positions(TENANT, TAX_NUMBER)
    assert follower.positions == {meter: last for meter, last in reached.items() if last}


async def test_a_piece_ends_before_it_is_too_large(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    (entry, *_) = await building.issue(ledger, *(f"r-{at}" for at in range(9)))
    follower = Follower()

    sizes = []
    while piece := await follower.read(ledger, bytes_max=2 * (len(entry.content) + 2_100)):
        sizes.append(len(piece))

    assert sizes == [2, 2, 2, 2, 1]


async def test_nobody_follows_another_tenants_invoices(ledger: Ledger) -> None:
    await building.open_shop(ledger)

    with pytest.raises(TaxpayerNotFound):
        await ledger.positions("another", TAX_NUMBER)
    with pytest.raises(TaxpayerNotFound):
        await ledger.changes("another", TAX_NUMBER, after={}, count_max=1, bytes_max=1)


async def test_a_restart_between_any_two_pieces_changes_nothing(storage: Books) -> None:
    rng = Random(SEED)
    print(f"seed {SEED}")
    ledger = await storage.open()
    await open_two_meters(ledger)
    follower = Follower(count_max=2)
    for at in range(20):
        type_ = rng.choice((TYPE, SPECIAL_TYPE))
        await building.issue_all(ledger, building.a_reservation(f"r-{at}", type=type_))
        if rng.random() < 0.5:
            ledger = await storage.open()
        await follower.read(ledger)
    while await follower.read(ledger):
        ledger = await storage.open()

    assert Counter(follower.issued()) == Counter(f"r-{at}" for at in range(20))


async def test_ten_thousand_changes_behind(ledger: Ledger) -> None:
    await open_two_meters(ledger, 5_000)
    for at in range(0, 5_000, 1_000):
        ids = range(at, at + 1_000)
        await building.issue(ledger, *(f"a-{one}" for one in ids))
        special = (building.a_reservation(f"b-{one}", type=SPECIAL_TYPE) for one in ids)
        await building.issue_all(ledger, *special)
    follower = Follower()

    await follower.read_all(ledger)

    seen = Counter(follower.issued())
    assert len(follower.seen) == 10_000
    assert seen == Counter(f"{kind}-{at}" for kind in "ab" for at in range(5_000))
