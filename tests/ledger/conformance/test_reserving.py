"""A number is taken in order, once, and only where every condition holds."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from invoice import content
from invoice.errors import (
    ClockSkew,
    InvoiceError,
    LedgerUnavailable,
    PointNotFound,
    StockExhausted,
    TaxpayerNotFound,
)
from invoice.lifecycle import InvoiceState
from ledger.port import Ledger
from ledger.records import Reserved
from tests.ledger import building
from tests.ledger.building import NOW, a_reservation


def _error(reserved: Reserved) -> type[InvoiceError]:
    assert reserved.entry is None
    assert reserved.error is not None
    return type(reserved.error)


async def test_numbers_are_consecutive_over_groups(ledger: Ledger) -> None:
    await building.open_shop(ledger, first=100)

    entries = []
    for group in range(3):
        drafts = [a_reservation(f"r-{group}-{item}") for item in range(70)]
        entries += await building.reserve(ledger, *drafts)

    assert [entry.number for entry in entries] == [f"{100 + at:08}" for at in range(210)]


async def test_a_reserved_entry_is_what_is_stored(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    item = a_reservation("r-1", net_fen=-700)

    (entry,) = await building.reserve(ledger, item)

    assert entry == await ledger.find_request(building.TENANT, "r-1")
    assert entry.state is InvoiceState.RESERVED
    assert (entry.worker, entry.reserved_at) == (building.WORKER, NOW)
    assert (entry.net_fen, entry.tax_fen) == (item.net_fen, item.tax_fen)
    assert entry.content == content.complete(
        item.tail,
        device=entry.machine_number,
        code=building.CODE,
        number="00000001",
        issue_time=int(NOW),
    )


async def test_each_point_and_each_type_counts_for_itself(ledger: Ledger) -> None:
    await building.open_shop(ledger, 10)
    await building.draw(ledger, 10, 501)
    await building.assign(ledger, 10, point=1)
    await building.draw(ledger, 10, 1, code="011002600113", type=building.SPECIAL_TYPE)
    await building.assign(ledger, 10, type=building.SPECIAL_TYPE)

    entries = await building.reserve(
        ledger,
        a_reservation("a-1"),
        a_reservation("b-1", point=1),
        a_reservation("c-1", type=building.SPECIAL_TYPE),
        a_reservation("a-2"),
        a_reservation("b-2", point=1),
        a_reservation("c-2", type=building.SPECIAL_TYPE),
    )

    assert [(entry.code[-2:], int(entry.number)) for entry in entries] == [
        ("11", 1), ("11", 501), ("13", 1), ("11", 2), ("11", 502), ("13", 2),
    ]  # fmt: skip


async def test_the_oldest_assigned_segment_is_used_up_first(ledger: Ledger) -> None:
    await building.register(ledger)
    await building.draw(ledger, 2, 900)
    await building.assign(ledger, 2)
    await building.draw(ledger, 2, 100)
    await building.assign(ledger, 2)

    entries = await building.reserve(ledger, *(a_reservation(f"r-{at}") for at in range(4)))

    assert [int(entry.number) for entry in entries] == [900, 901, 100, 101]


async def test_stock_that_ends_inside_a_group_refuses_only_the_rest(ledger: Ledger) -> None:
    await building.open_shop(ledger, 2)
    drafts = [a_reservation(f"r-{at}") for at in range(4)]

    result = await building.commit(ledger, (), drafts)

    assert [reserved.entry is not None for reserved in result.reserved] == [
        True, True, False, False,
    ]  # fmt: skip
    assert _error(result.reserved[2]) is StockExhausted
    assert await ledger.find_request(building.TENANT, "r-2") is None

    await building.draw(ledger, 5, 50)
    await building.assign(ledger, 5)
    (entry,) = await building.reserve(ledger, drafts[2])
    assert int(entry.number) == 50


async def test_one_bad_item_fails_alone(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    good = [a_reservation(f"r-{at}") for at in range(5)]
    # No database holds it: more than 64 bits.
    bad = replace(a_reservation("bad"), tax_fen=2**70)

    result = await building.commit(ledger, (), [*good[:2], bad, *good[2:]])

    numbers = [int(reserved.entry.number) for reserved in result.reserved if reserved.entry]
    assert numbers == [1, 2, 3, 4, 5]
    assert _error(result.reserved[2]) is LedgerUnavailable
    assert await ledger.find_request(building.TENANT, "bad") is None


async def test_a_bad_item_does_not_undo_the_settles_of_its_group(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    (entry,) = await building.reserve(ledger, a_reservation("r-1"))
    bad = replace(a_reservation("bad"), tax_fen=2**70)

    result = await building.commit(ledger, [building.signed(entry)], [bad])

    assert result.settled[0].state is InvoiceState.ISSUED
    stored = await ledger.find_request(building.TENANT, "r-1")
    assert stored == result.settled[0]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"tax_number": "91310115X12J2H3L4B"}, TaxpayerNotFound),
        ({"tenant": "another"}, TaxpayerNotFound),
        ({"point": 7}, PointNotFound),
        ({"point": 1}, StockExhausted),
        ({"type": "007"}, StockExhausted),
    ],
)
async def test_what_is_not_there_is_refused_by_name(
    ledger: Ledger, change: dict[str, Any], error: type[InvoiceError]
) -> None:
    await building.open_shop(ledger)

    result = await building.commit(ledger, (), [replace(a_reservation("r-1"), **change)])

    assert _error(result.reserved[0]) is error


async def test_a_registration_that_moved_on_asks_for_the_rules_again(ledger: Ledger) -> None:
    await building.open_shop(ledger)

    result = await building.commit(ledger, (), [a_reservation("r-1", version=2)])

    assert result.reserved[0] == Reserved(stale=True)
    assert await ledger.find_request(building.TENANT, "r-1") is None


async def test_issue_times_never_run_backwards(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    clocks = [NOW, NOW - 4.0, NOW + 2.0, NOW - 1_700.0, NOW + 1.0]

    entries = []
    for at, now in enumerate(clocks):
        entries += await building.reserve(ledger, a_reservation(f"r-{at}"), now=now)

    times = [entry.issue_time for entry in entries]
    assert times == [int(NOW), int(NOW), int(NOW) + 2, int(NOW) + 2, int(NOW) + 2]
    assert all(earlier <= later for earlier, later in pairwise(times))


async def test_a_group_says_by_how_much_the_clock_was_clamped(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    await building.reserve(ledger, a_reservation("r-1"))

    behind = await building.commit(ledger, (), [a_reservation("r-2")], now=NOW - 60)
    ahead = await building.commit(ledger, (), [a_reservation("r-3")], now=NOW + 60)

    assert behind.clamped_s == pytest.approx(int(NOW) - (NOW - 60))
    assert ahead.clamped_s == 0


@pytest.mark.parametrize(("behind_s", "refused"), [(4.0, False), (6.0, True), (1_200.0, True)])
async def test_before_the_authority_told_the_time_no_clock_behind_the_last_invoice_is_believed(
    ledger: Ledger, behind_s: float, *, refused: bool
) -> None:
    await building.open_shop(ledger)
    await building.reserve(ledger, a_reservation("r-1"))

    result = await ledger.commit(
        (),
        [a_reservation("r-2")],
        worker=building.WORKER,
        now=int(NOW) - behind_s,
        clock_trusted=False,
    )

    assert isinstance(result.reserved[0].error, ClockSkew) is refused


@pytest.mark.parametrize(("behind_s", "refused"), [(1_799.0, False), (1_801.0, True)])
async def test_half_an_hour_behind_stops_issuing(
    ledger: Ledger, behind_s: float, *, refused: bool
) -> None:
    await building.open_shop(ledger)
    await building.reserve(ledger, a_reservation("r-1"))

    result = await building.commit(ledger, (), [a_reservation("r-2")], now=int(NOW) - behind_s)

    assert isinstance(result.reserved[0].error, ClockSkew) is refused


async def test_a_number_of_twenty_digits_goes_all_the_way(ledger: Ledger) -> None:
    first = 999_999_999_999_000
    await building.open_shop(ledger, 1_000, first=first, code="", prefix="26531", width=20)

    (entry,) = await building.issue(ledger, "r-1")
    await building.upload(ledger, "s-1")
    segments = await ledger.segments(building.TENANT, building.TAX_NUMBER)
    (level,) = await ledger.stock(building.TENANT, building.TAX_NUMBER)
    record = await ledger.find_invoice(
        building.TENANT, building.TAX_NUMBER, "", "26531999999999999000"
    )

    assert (entry.code, entry.number) == ("", "26531999999999999000")
    assert record is not None
    assert record.entry == entry
    assert (segments[-1].first, segments[-1].next) == (first, first + 1)
    assert (level.next_number, level.available_count) == ("26531999999999999001", 999)


async def test_reserving_counts_on_the_meter(ledger: Ledger) -> None:
    await building.open_shop(ledger)

    await building.reserve(
        ledger, a_reservation("r-1", net_fen=100), a_reservation("r-2", net_fen=-50)
    )
    backlog = await ledger.backlog(building.TENANT, building.TAX_NUMBER)

    meter = next(meter for meter in backlog.meters if meter.type == building.TYPE)
    assert (meter.unuploaded_count, meter.unuploaded_amount_fen) == (2, 300)
    assert meter.last_issue_time == int(NOW)
    assert meter.change_number == 0
    # Not issued yet, so there is nothing to upload.
    assert await ledger.backlogged() == []
