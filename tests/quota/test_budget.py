"""What one meter may still issue: each limit to its last invoice and fen, in one order of checks."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoice.errors import (
    DeviceLocked,
    InvoiceError,
    OfflineAgeExceeded,
    OfflineAmountExceeded,
    OfflineBulkRestricted,
    OfflineCountExceeded,
    OfflineLockDay,
    OfflineNotAllowed,
    PeriodNotSummarised,
)
from quota.budget import Budget, Whose
from quota.offline import NO_LIMITS, Grade, MeterState, OfflineLimits, uses, worst

SHANGHAI = timezone(timedelta(hours=8))
WHOSE = Whose("91110000AYTLHUJ0ET", "661000000001", "026")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp())


FRESH = MeterState(
    unuploaded_count=0,
    unuploaded_amount_fen=0,
    oldest_issue_time=0,
    open_period="2026-11",
    summarised_at=at("2026-11-03"),
)
BEHIND = replace(
    FRESH, unuploaded_count=3, unuploaded_amount_fen=300, oldest_issue_time=at("2026-11-20")
)
LATE = "2027-02-02"
EVERYTHING = OfflineLimits(age_hours_max=1, amount_fen_max=300, count_max=3, lock_day=15)


def refusal(
    limits: OfflineLimits, state: MeterState, now: str, *, bulk: bool = False, amount_fen: int = 1
) -> InvoiceError | None:
    return Budget(limits, state, at(now), whose=WHOSE).refusal(amount_fen, bulk=bulk)


@pytest.mark.parametrize(
    ("limits", "state", "now", "kind"),
    [
        (NO_LIMITS, FRESH, "2026-11-22", None),
        (EVERYTHING, BEHIND, LATE, DeviceLocked),
        (EVERYTHING, BEHIND, "2026-12-15", OfflineLockDay),
        (EVERYTHING, FRESH, "2026-12-15", PeriodNotSummarised),
        (EVERYTHING, FRESH, "2026-12-14T23:59:59", None),
        (EVERYTHING, BEHIND, "2026-11-22", OfflineAgeExceeded),
        (OfflineLimits(age_hours_max=0, count_max=3), BEHIND, "2026-11-22", OfflineNotAllowed),
        (OfflineLimits(age_hours_max=0), FRESH, "2026-11-22", None),
        (OfflineLimits(count_max=3, amount_fen_max=300), BEHIND, "2026-11-22", OfflineCountExceeded),
        (OfflineLimits(count_max=4, amount_fen_max=300), BEHIND, "2026-11-22", OfflineAmountExceeded),
        (OfflineLimits(count_max=4, amount_fen_max=301), BEHIND, "2026-11-22", None),
        (OfflineLimits(count_max=0), FRESH, "2026-11-22", OfflineCountExceeded),
        (OfflineLimits(amount_fen_max=0), FRESH, "2026-11-22", OfflineAmountExceeded),
    ],
)  # fmt: skip
def test_what_stands_against_an_invoice_is_looked_at_in_one_order(
    limits: OfflineLimits, state: MeterState, now: str, kind: type[InvoiceError] | None
) -> None:
    found = refusal(limits, state, now)

    assert (None if found is None else type(found)) is kind


@pytest.mark.parametrize(
    ("limits", "state", "now", "facts"),
    [
        (OfflineLimits(age_hours_max=48), BEHIND, "2026-11-23", {"limit": "48", "used": "72", "left": "0", "until": "2026-11-22T00:00:00+08:00", "ends_by": "UPLOAD"}),
        (OfflineLimits(count_max=3), BEHIND, "2026-11-22", {"limit": "3", "used": "3", "left": "0", "until": "", "ends_by": "UPLOAD"}),
        (OfflineLimits(amount_fen_max=300), BEHIND, "2026-11-22", {"limit": "300", "used": "300", "left": "0", "until": "", "ends_by": "UPLOAD", "wanted": "1"}),
        (OfflineLimits(lock_day=0), BEHIND, "2026-12-03", {"limit": "0", "used": "3", "left": "0", "until": "2026-12-01T00:00:00+08:00", "ends_by": "UPLOAD"}),
        (OfflineLimits(lock_day=2), FRESH, "2026-12-03", {"limit": "2", "used": "3", "left": "0", "until": "2026-12-02T00:00:00+08:00", "ends_by": "SUMMARY", "period": "2026-11"}),
        (OfflineLimits(age_hours_max=0), BEHIND, "2026-11-20", {"limit": "0", "used": "3", "left": "0", "until": "", "ends_by": "UPLOAD"}),
        (NO_LIMITS, FRESH, LATE, {"limit": "90", "used": "91", "left": "0", "until": "2027-02-01T00:00:00+08:00", "ends_by": "SUMMARY", "period": "2026-11"}),
    ],
)  # fmt: skip
def test_a_refusal_says_what_is_left_until_when_and_what_ends_it(
    limits: OfflineLimits, state: MeterState, now: str, facts: dict[str, str]
) -> None:
    found = refusal(limits, state, now)

    assert found is not None
    assert found.facts == WHOSE._asdict() | facts
    assert all(part in found.message for part in WHOSE)


@pytest.mark.parametrize(
    ("limits", "state", "now", "near"),
    [
        (OfflineLimits(count_max=10), replace(BEHIND, unuploaded_count=8), "2026-11-20", None),
        (OfflineLimits(count_max=10), replace(BEHIND, unuploaded_count=9), "2026-11-20", "OFFLINE_COUNT_EXCEEDED"),
        (OfflineLimits(amount_fen_max=333), BEHIND, "2026-11-20", "OFFLINE_AMOUNT_EXCEEDED"),
        (OfflineLimits(amount_fen_max=334), BEHIND, "2026-11-20", None),
        (OfflineLimits(age_hours_max=10), BEHIND, "2026-11-20T08:59:59", None),
        (OfflineLimits(age_hours_max=10), BEHIND, "2026-11-20T09:00:00", "OFFLINE_AGE_EXCEEDED"),
        (OfflineLimits(lock_day=11), BEHIND, "2026-12-10", "OFFLINE_LOCK_DAY"),
        (OfflineLimits(lock_day=11), FRESH, "2026-12-10", "PERIOD_NOT_SUMMARISED"),
        (NO_LIMITS, FRESH, "2027-01-24", "DEVICE_LOCKED"),
    ],
)  # fmt: skip
def test_bulk_is_refused_from_nine_tenths_on(
    limits: OfflineLimits, state: MeterState, now: str, near: str | None
) -> None:
    found = refusal(limits, state, now, bulk=True)

    assert refusal(limits, state, now) is None
    assert (None if found is None else found.facts["limit_reason"]) == near
    assert found is None or isinstance(found, OfflineBulkRestricted)


amounts = st.lists(st.integers(1, 50), max_size=40)


@given(
    amounts,
    st.none() | st.integers(0, 20),
    st.none() | st.integers(0, 400),
    st.integers(0, 20),
    st.integers(0, 400),
)
def test_no_limit_is_passed_and_none_refused_before_it(
    wanted: list[int], count_max: int | None, most_fen: int | None, count: int, amount_fen: int
) -> None:
    limits = OfflineLimits(count_max=count_max, amount_fen_max=most_fen)
    state = replace(BEHIND, unuploaded_count=count, unuploaded_amount_fen=amount_fen)
    budget = Budget(limits, state, at("2026-11-22"), whose=WHOSE)

    for amount in wanted:
        fits = (count_max is None or count + 1 <= count_max) and (
            most_fen is None or amount_fen + amount <= most_fen
        )
        assert (budget.refusal(amount, bulk=False) is None) == fits
        if fits:
            budget.take(amount)
            count, amount_fen = count + 1, amount_fen + amount


@given(
    st.builds(
        OfflineLimits,
        age_hours_max=st.none() | st.integers(0, 100),
        count_max=st.none() | st.integers(0, 10),
        lock_day=st.none() | st.integers(0, 31),
    ),
    st.integers(0, 10),
    st.integers(0, 120 * 86_400),
    st.integers(0, 120 * 86_400),
)
def test_stop_is_shown_just_when_nothing_is_issued(
    limits: OfflineLimits, count: int, oldest_s: int, now_s: int
) -> None:
    began = at("2026-11-03")
    state = replace(
        FRESH,
        unuploaded_count=count,
        oldest_issue_time=began + min(oldest_s, now_s) if count else 0,
    )
    found = uses(limits, state, began + now_s)
    budget = Budget(limits, state, began + now_s, whose=WHOSE)

    assert (budget.refusal(1, bulk=False) is not None) == (worst(found) is Grade.STOP)
    restricted = budget.refusal(1, bulk=True) is not None
    assert restricted == (worst(found) >= Grade.RESTRICT)
