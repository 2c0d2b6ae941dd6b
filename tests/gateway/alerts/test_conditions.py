"""What is wrong, kind by kind: from where on, how bad, with which figures, and from where on it is gone."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from gateway.alerts.condition import Condition, Severity
from gateway.alerts.conditions import conditions
from gateway.alerts.thresholds import in_force
from gateway.desk.survey import Survey
from ledger.alert_records import AlertPlace, AlertThresholdsRecord
from quota.offline import Grade, OfflineLimits
from taxcontrol.admin.v1.alert_pb2 import Alert
from tests.gateway.alerts.cases import CASES, Case
from tests.gateway.alerts.scenes import (
    NOW,
    TAX_NUMBER,
    gateway,
    seller,
    with_backlog,
    with_device,
    with_stock,
)


def of_kind(found: Survey, kind: str) -> Iterator[Condition]:
    return (one for one in conditions(found, {}).values() if one.place.kind == kind)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_is_raised_from_its_threshold_on_with_its_figures(case: Case) -> None:
    [found] = of_kind(case.raised, case.kind)

    assert found.place == case.place._replace(kind=case.kind)
    assert found.holds
    assert found.severity is case.severity
    assert {name: found.facts[name] for name in case.facts} == case.facts
    assert (found.limit_at, found.drained_at) == (case.limit_at, case.drained_at)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_is_not_raised_just_short_of_it(case: Case) -> None:
    assert not any(one.holds for one in of_kind(case.short, case.kind))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_is_gone_somewhat_below(case: Case) -> None:
    assert list(of_kind(case.gone, case.kind)) == []


def test_every_kind_of_the_contract_is_in_the_table() -> None:
    kinds = {name.removeprefix("KIND_") for name, _ in Alert.Kind.items()} - {"UNSPECIFIED"}

    assert {case.kind for case in CASES.values()} == kinds
    assert len(kinds) == 14


@pytest.mark.parametrize(
    "case",
    [CASES[name] for name in (
        "stock is at its threshold",
        "so many are un-uploaded",
        "few are un-uploaded, and the limit is two hours away",
        "so much is un-uploaded",
        "the oldest waits a quarter of the hours",
        "the count is reached",
        "a certificate ends in a month",
        "the clock is five minutes behind",
    )],
    ids=lambda case: case.kind,
)  # fmt: skip
def test_what_swings_round_its_threshold_is_neither_raised_nor_gone_just_below(case: Case) -> None:
    [found] = of_kind(case.short, case.kind)

    assert not found.holds


def test_in_a_sound_gateway_nothing_is_wrong() -> None:
    assert conditions(gateway(seller()), {}) == {}


def test_where_nothing_signs_one_alert_says_so_for_all_devices() -> None:
    broken = replace(with_device(signs=False), signing_available=False)

    assert [one.place for one in of_kind(broken, "HSM_UNAVAILABLE")] == [
        AlertPlace("HSM_UNAVAILABLE")
    ]


def test_what_was_set_goes_before_the_defaults() -> None:
    found = with_backlog(7, most=1000)
    wanted = AlertThresholdsRecord(unuploaded_count=7)

    assert conditions(found, {}) == {}
    [condition] = conditions(found, {TAX_NUMBER: wanted}).values()
    assert condition.holds
    assert condition.facts["threshold"] == 7


def test_defaults_follow_the_limits() -> None:
    limited = in_force(
        AlertThresholdsRecord(),
        OfflineLimits(count_max=1000, amount_fen_max=10_000, age_hours_max=24),
    )
    unlimited = in_force(AlertThresholdsRecord(), OfflineLimits())

    assert limited == AlertThresholdsRecord(
        unuploaded_count=700,
        unuploaded_amount_fen=7_000,
        unuploaded_age_s=21_600,
        certificate_days=30,
        period_days=3,
    )
    assert unlimited == AlertThresholdsRecord(
        unuploaded_count=10_000, unuploaded_age_s=14_400, certificate_days=30, period_days=3
    )


def test_so_many_points_have_an_alert_each_and_the_others_share_one() -> None:
    [line] = with_stock(5, low=50, empty_at=NOW + 900, grade=Grade.RESTRICT).taxpayers.values()
    [stock] = line.stock
    points = tuple(replace(stock, point=point, empty_at=NOW + point) for point in range(1, 81))

    found = list(of_kind(gateway(replace(line, stock=points)), "STOCK_LOW"))

    assert len(found) == 51
    [shared] = [one for one in found if one.place.point is None]
    assert shared.facts == {"point_count": 30}
    assert (shared.severity, shared.limit_at) == (Severity.SERIOUS, NOW + 51)
