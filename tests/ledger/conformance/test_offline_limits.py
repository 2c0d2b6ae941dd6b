"""Limits inside the reserving transaction: over points, groups, reds and replays, none passed."""

from dataclasses import replace

import pytest

from invoice.errors import (
    ClockSkew,
    InvalidRequest,
    IssueDeadlinePassed,
    NumberNotBlank,
    OfflineAmountExceeded,
    OfflineBulkRestricted,
    OfflineCountExceeded,
    RedExceedsBlue,
    RequestIdReused,
    StockExhausted,
    TaxpayerNotFound,
)
from ledger.port import Ledger
from ledger.records import GroupResult, MeterRecord, StockLevelRecord
from quota.offline import NO_LIMITS, OfflineLimits
from quota.period import day_of
from tests.ledger import building
from tests.ledger.building import ACT, CODE, NOW, TAX_NUMBER, TENANT, TYPE, a_red, a_reservation

DAY_S = 86_400


async def _lower(
    ledger: Ledger,
    limits: OfflineLimits = NO_LIMITS,
    *,
    request_id: str = "",
    tax_number: str = TAX_NUMBER,
) -> tuple[OfflineLimits, bool]:
    bound = building.binding("set_offline_limits", request_id=request_id, limits=str(limits))
    return await ledger.set_offline_limits(
        tax_number=tax_number, limits=limits, binding=bound, act=ACT
    )


async def _meter(ledger: Ledger, type_code: str = TYPE) -> MeterRecord:
    backlog = await ledger.backlog(TENANT, TAX_NUMBER)
    (meter,) = (meter for meter in backlog.meters if meter.type == type_code)
    return meter


def _outcomes(result: GroupResult) -> list[type[Exception] | None]:
    return [None if one.error is None else type(one.error) for one in result.reserved]


async def test_points_of_one_meter_share_its_limits_within_a_group(ledger: Ledger) -> None:
    await building.open_shop(ledger, 10)
    await building.draw(ledger, 10, 501)
    await building.assign(ledger, 10, 1)
    await _lower(ledger, OfflineLimits(count_max=5))

    result = await building.commit(
        ledger, (), [a_reservation(f"r-{at}", point=at % 2) for at in range(8)]
    )

    assert sorted(map(str, _outcomes(result))) == sorted(
        map(str, [None] * 5 + [OfflineCountExceeded] * 3)
    )
    assert (await _meter(ledger)).unuploaded_count == 5


async def test_another_type_has_a_budget_of_its_own(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    await _lower(ledger, OfflineLimits(count_max=1))

    result = await building.commit(
        ledger, (), [a_reservation(f"r-{at}", type=("026", "028")[at % 2]) for at in range(4)]
    )

    assert _outcomes(result) == [None, None, OfflineCountExceeded, OfflineCountExceeded]


async def test_what_gets_no_number_takes_nothing_of_the_budget(ledger: Ledger) -> None:
    await building.open_shop(ledger, 2)
    await _lower(ledger, OfflineLimits(count_max=3))

    result = await building.commit(ledger, (), [a_reservation(f"r-{at}") for at in range(4)])
    assert _outcomes(result) == [None, None, StockExhausted, StockExhausted]

    await building.draw(ledger, 9, 501)
    await building.assign(ledger, 9)
    result = await building.commit(ledger, (), [a_reservation(f"s-{at}") for at in range(2)])
    assert _outcomes(result) == [None, OfflineCountExceeded]


async def test_a_red_that_is_refused_takes_nothing_and_one_that_is_not_counts(
    ledger: Ledger,
) -> None:
    await building.open_family_shop(ledger)
    (blue,) = await building.issue_all(ledger, a_reservation("blue", type="028"))
    await building.upload(ledger, "s-1")
    await _lower(ledger, OfflineLimits(amount_fen_max=15_000))

    result = await building.commit(
        ledger,
        (),
        [
            a_red("too-much", blue, 20_001, 1_800),
            a_red("half", blue, 10_000, 900),
            a_red("rest", blue, 10_000, 900),
            a_red("some", blue, 5_000, 450),
        ],
    )

    assert _outcomes(result) == [RedExceedsBlue, None, OfflineAmountExceeded, None]
    assert (await _meter(ledger, "028")).unuploaded_amount_fen == 15_000

    # What the budget refused has taken nothing of its blue.
    await building.commit(
        ledger, [building.signed(one.entry) for one in result.reserved if one.entry]
    )
    await building.upload(ledger, "s-2")
    (left,) = await building.reserve(ledger, a_red("left", blue, 5_000, 450))
    assert left.net_fen == -5_000


async def test_the_same_id_twice_in_a_group_is_one_and_is_replayed_at_the_limit(
    ledger: Ledger,
) -> None:
    await building.open_shop(ledger, 10)
    await _lower(ledger, OfflineLimits(count_max=1))
    draft = a_reservation("r-1")

    result = await building.commit(ledger, (), [draft, draft, a_reservation("r-2"), draft])

    assert _outcomes(result) == [None, None, OfflineCountExceeded, None]
    assert [one.replayed for one in result.reserved] == [False, True, False, True]


async def test_bulk_is_refused_where_others_are_not(ledger: Ledger) -> None:
    await building.open_shop(ledger, 30)
    await _lower(ledger, OfflineLimits(count_max=10))
    drafts = [replace(a_reservation(f"r-{at}"), bulk=at % 2 == 0) for at in range(24)]

    result = await building.commit(ledger, (), drafts)

    assert _outcomes(result)[:9] == [None] * 9
    assert _outcomes(result)[9:12] == [None, OfflineCountExceeded, OfflineCountExceeded]
    assert (await _meter(ledger)).unuploaded_count == 10

    await building.commit(
        ledger, [building.signed(one.entry) for one in result.reserved if one.entry]
    )
    await building.upload(ledger, "s-1", count_max=1)
    bulk = replace(a_reservation("bulk"), bulk=True)
    result = await building.commit(ledger, (), [bulk, a_reservation("not")])
    assert _outcomes(result) == [OfflineBulkRestricted, None]


async def test_the_oldest_is_that_of_what_has_no_answer(ledger: Ledger) -> None:
    await building.open_shop(ledger, 30)
    assert (await _meter(ledger)).oldest_issue_time == 0
    for at in range(4):
        await building.issue(ledger, f"r-{at}", now=NOW + at)
    (waiting,) = await building.reserve(ledger, a_reservation("open"), now=NOW + 4)

    await building.upload(ledger, "s-1", count_max=1)
    assert (await _meter(ledger)).oldest_issue_time == int(NOW) + 1
    await building.upload(ledger, "s-2", count_max=1, rejected=["00000002"])
    assert (await _meter(ledger)).oldest_issue_time == int(NOW) + 2
    await building.upload(ledger, "s-3")
    assert (await _meter(ledger)).oldest_issue_time == int(NOW) + 4

    retry = building.binding("retry")
    await ledger.retry_uploads(tax_number=TAX_NUMBER, invoices=[], binding=retry, act=ACT)
    assert (await _meter(ledger)).oldest_issue_time == int(NOW) + 1
    await building.upload(ledger, "s-4")
    assert (await _meter(ledger)).oldest_issue_time == int(NOW) + 4

    await building.decide_blank_void(ledger, waiting.number, now=NOW + 90)
    assert await _meter(ledger) == replace(
        await _meter(ledger), oldest_issue_time=0, unuploaded_count=0, unuploaded_amount_fen=0
    )


async def test_voids_are_never_stopped_by_a_limit(ledger: Ledger) -> None:
    await building.open_shop(ledger, 10)
    (entry,) = await building.issue(ledger, "r-1")
    await _lower(ledger, OfflineLimits(count_max=0, age_hours_max=0, amount_fen_max=0))

    await building.void(ledger, entry)
    await building.void_blank(ledger, "00000002")

    assert (await _meter(ledger)).unuploaded_count == 1


# --- days ---------------------------------------------------------------------------------


async def _segment(
    ledger: Ledger, first: int, count: int, deadline: str = "", point: int = 0
) -> None:
    wish, bound = building.a_wish(count)
    await ledger.request_grant(wish, bound, ACT)
    granted = replace(building.granted(wish, first), issue_deadline=deadline)
    await ledger.store_grant(granted)
    await ledger.confirm_grant(TENANT, wish.request_id, NOW)
    await building.assign(ledger, count, point)


async def _level(ledger: Ledger, now: float) -> StockLevelRecord:
    (level,) = await ledger.stock(TENANT, TAX_NUMBER, point=0, type=TYPE, day=day_of(now))
    return level


async def test_numbers_past_their_day_are_passed_over(ledger: Ledger) -> None:
    await building.register(ledger)
    await _segment(ledger, 1, 3, day_of(NOW))
    await _segment(ledger, 501, 2)
    await building.reserve(ledger, a_reservation("r-1"))
    tomorrow = NOW + DAY_S
    today_level, level = await _level(ledger, NOW), await _level(ledger, tomorrow)

    entries = await building.reserve(ledger, *map(a_reservation, ("r-2", "r-3")), now=tomorrow)
    result = await building.commit(ledger, (), [a_reservation("r-4")], now=tomorrow)

    assert (today_level.available_count, today_level.expired_count) == (4, 0)
    assert today_level.next_number == "00000002"
    assert (level.available_count, level.expired_count) == (2, 2)
    assert level.next_number == entries[0].number == "00000501"
    assert (level.issue_deadline, today_level.issue_deadline) == ("", day_of(NOW))
    assert _outcomes(result) == [IssueDeadlinePassed]
    assert result.reserved[0].error is not None
    assert result.reserved[0].error.facts["left"] == "2"
    assert (await _level(ledger, tomorrow)).next_number == ""


async def test_the_day_is_that_of_the_issue_time(ledger: Ledger) -> None:
    """A clock behind the last invoice issues nothing that the last one's day did not allow."""
    await building.register(ledger)
    midnight = (NOW + 28_800) // DAY_S * DAY_S + DAY_S - 28_800
    await _segment(ledger, 1, 2)
    await building.reserve(ledger, a_reservation("r-1"), now=midnight + 5)
    await building.reserve(ledger, a_reservation("r-2"), now=midnight + 5)
    await _segment(ledger, 501, 2, day_of(midnight - 1))

    result = await building.commit(ledger, (), [a_reservation("r-3")], now=midnight - 1)

    assert _outcomes(result) == [IssueDeadlinePassed]
    assert result.clamped_s == 0


async def test_a_point_without_any_number_is_out_of_stock(ledger: Ledger) -> None:
    await building.register(ledger)
    await _segment(ledger, 1, 1, day_of(NOW))
    await building.reserve(ledger, a_reservation("r-1"))

    result = await building.commit(ledger, (), [a_reservation("r-2")], now=NOW + DAY_S)

    assert _outcomes(result) == [StockExhausted]


@pytest.mark.parametrize("number", ["00000001", "00000501"])
async def test_the_next_number_and_the_first_past_its_day_can_be_voided_blank(
    ledger: Ledger, number: str
) -> None:
    await building.register(ledger)
    await _segment(ledger, 1, 3, day_of(NOW))
    await _segment(ledger, 501, 2)

    statement = await building.decide_blank_void(ledger, number, now=NOW + DAY_S)

    assert statement.number == number
    with pytest.raises(NumberNotBlank) as caught:
        await building.decide_blank_void(ledger, "00000502" if number[-3] == "0" else "00000503", now=NOW + DAY_S)  # fmt: skip
    assert caught.value.facts["next_number"] == ("00000501" if number[-3] == "0" else "00000502")
    assert caught.value.facts["next_code"] == CODE


# --- what operators decide ----------------------------------------------------------------


async def test_a_limit_can_only_be_lowered(ledger: Ledger) -> None:
    await building.register(ledger)

    for limits, field in (
        (OfflineLimits(age_hours_max=73), "offline_limits.age_hours_max"),
        (OfflineLimits(amount_fen_max=500_000_001), "offline_limits.amount_fen_max"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            await _lower(ledger, limits)
        assert caught.value.facts["field"] == field
    with pytest.raises(TaxpayerNotFound):
        await _lower(ledger, tax_number=building.OTHER_TAX_NUMBER)

    # Where the authority has none, any is lower.
    in_force, replayed = await _lower(
        ledger, OfflineLimits(age_hours_max=72, count_max=10**12, lock_day=31)
    )
    assert in_force == OfflineLimits(
        age_hours_max=72, amount_fen_max=500_000_000, count_max=10**12, lock_day=31
    )
    assert not replayed


async def test_what_was_decided_is_replayed_and_given_back(ledger: Ledger) -> None:
    await building.register(ledger)
    await _lower(ledger, OfflineLimits(age_hours_max=1), request_id="one")

    again, replayed = await _lower(ledger, OfflineLimits(age_hours_max=1), request_id="one")
    assert (again.age_hours_max, replayed) == (1, True)
    with pytest.raises(RequestIdReused):
        await _lower(ledger, OfflineLimits(age_hours_max=2), request_id="one")

    await _lower(ledger)
    again, replayed = await _lower(ledger, OfflineLimits(age_hours_max=1), request_id="one")
    assert (again.age_hours_max, replayed) == (72, True)
    record = await ledger.taxpayer(TENANT, TAX_NUMBER)
    assert record is not None
    assert (record.lowered_limits, record.limits_in_force) == (NO_LIMITS, record.offline_limits)


async def test_a_dry_run_lowers_nothing(ledger: Ledger) -> None:
    await building.register(ledger)
    bound = building.binding("set_offline_limits", request_id="dry")

    in_force, _ = await ledger.set_offline_limits(
        tax_number=TAX_NUMBER,
        limits=OfflineLimits(count_max=0),
        binding=bound,
        act=ACT,
        dry_run=True,
    )

    record = await ledger.taxpayer(TENANT, TAX_NUMBER)
    assert record is not None
    assert (in_force.count_max, record.limits_in_force.count_max) == (0, None)
    assert await ledger.find_binding(TENANT, "dry") is None


async def test_a_clock_far_behind_says_how_far_and_what_is_borne(ledger: Ledger) -> None:
    await building.open_shop(ledger, 10)
    await building.reserve(ledger, a_reservation("r-1"))

    result = await building.commit(ledger, (), [a_reservation("r-2")], now=NOW - 1_801)

    assert _outcomes(result) == [ClockSkew]
    assert result.reserved[0].error is not None
    assert result.reserved[0].error.facts == {
        "skew_s": "-1801", "skew_s_max": "1800", "ends_by": "CLOCK",
    }  # fmt: skip
