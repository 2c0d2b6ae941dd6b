"""Raised once and resolved once, whatever swings; worse at once, milder after a while."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from gateway.alerts.condition import Condition, Severity
from gateway.alerts.conditions import conditions
from gateway.alerts.hysteresis import Hysteresis
from gateway.desk.survey import Survey
from ledger.alert_records import AlertNews, AlertPlace, AlertRecord
from quota.offline import Grade, Limit
from tests.gateway.alerts.scenes import (
    DAY_S,
    HOUR_S,
    NOW,
    gateway,
    with_backlog,
    with_device,
    with_stock,
)

_LOOK_S = 10.0
_SEEDS = range(20)
PLACE = AlertPlace("UPLOAD_REJECTED", "91310115MA1FEXMP0M")
FACTS = {"rejected_count": 1, "signature_rejected_count": 0}


class Story:
    """Looks one after the other; what stands is what was told."""

    def __init__(self) -> None:
        self.hysteresis = Hysteresis()
        self.now = NOW
        self.told: list[AlertNews] = []
        self.stands: dict[AlertPlace, AlertRecord] = {}

    def look(self, *found: Condition, after_s: float = _LOOK_S) -> list[str]:
        """What is told at the next look."""
        self.now += after_s
        news = self.hysteresis.judge(self.stands, {one.place: one for one in found}, self.now)
        for one in news:
            if one.what == "RESOLVED":
                del self.stands[one.place]
            else:
                self.stands[one.place] = standing(one)
        self.told += news
        return [one.what for one in news]

    def lives(self) -> list[str]:
        """What was told, without what only moved."""
        return [one.what for one in self.told if one.what != "UPDATED"]


def standing(news: AlertNews) -> AlertRecord:
    return AlertRecord(
        alert_id=1,
        tenant="default",
        place=news.place,
        state="RAISED",
        severity=news.severity,
        message=news.message,
        message_zh=news.message_zh,
        facts=news.facts,
        limit_at=news.limit_at,
        drained_at=news.drained_at,
        raised_at=news.raised_at,
        updated_at=news.at,
    )


def wrong(severity: Severity = Severity.WARNING, **facts: object) -> Condition:
    return replace(Condition(place=PLACE, severity=severity, facts=FACTS), **facts)  # type: ignore[arg-type]  # the fields of a condition


def test_it_is_raised_at_once_and_resolved_after_it_was_gone_for_a_minute() -> None:
    story = Story()

    assert story.look(wrong()) == ["RAISED"]
    assert story.look() == []
    assert story.look(after_s=59) == []
    assert story.look(after_s=1) == ["RESOLVED"]
    assert story.told[1].raised_at == story.told[0].at


def test_one_look_with_it_begins_the_minute_anew() -> None:
    story = Story()
    story.look(wrong())
    story.look()
    story.look(wrong(), after_s=59)

    assert story.look() == []
    assert story.look(after_s=59) == []
    assert story.look(after_s=1) == ["RESOLVED"]


def test_what_does_not_quite_hold_keeps_an_alert_and_raises_none() -> None:
    story = Story()
    kept = wrong(holds=False)

    assert story.look(kept) == []
    story.look(wrong())
    assert [story.look(kept, after_s=600) for _ in range(9)] == [[]] * 9


def test_a_clock_that_is_set_back_resolves_nothing_early() -> None:
    story = Story()
    story.look(wrong())
    story.look()
    story.look(after_s=-3600)

    assert story.look(after_s=59) == []
    assert story.look(after_s=1) == ["RESOLVED"]


def test_it_is_worse_at_once_and_milder_after_five_minutes() -> None:
    story = Story()
    story.look(wrong())

    assert story.look(wrong(Severity.CRITICAL)) == ["UPDATED"]
    assert story.look(wrong(Severity.SERIOUS)) == []
    assert story.look(wrong(Severity.SERIOUS), after_s=299) == []
    assert story.look(wrong(Severity.SERIOUS), after_s=1) == ["UPDATED"]
    assert [one.severity for one in story.told] == ["WARNING", "CRITICAL", "SERIOUS"]


@pytest.mark.parametrize("seed", range(20))
def test_a_severity_that_swings_stays_at_the_worst(seed: int) -> None:
    print(f"seed {seed}")
    rng, story = Random(seed), Story()
    story.look(wrong())
    for _ in range(500):
        # Never milder for as long as five minutes.
        story.look(wrong(rng.choice(list(Severity))))
        if rng.random() < 0.1:
            story.look(wrong(Severity.CRITICAL), after_s=rng.uniform(1, 280))
        else:
            story.look(wrong(Severity.CRITICAL))

    severities = [one.severity for one in story.told]
    assert severities == sorted(severities, key=lambda name: Severity[name])
    assert len(severities) <= len(Severity)
    assert severities[-1] == "CRITICAL"


def test_a_forecast_is_told_anew_when_it_moved_by_much_and_rarely() -> None:
    story = Story()
    story.look(wrong(limit_at=NOW + 10 * HOUR_S))
    kept = wrong(limit_at=NOW + 10.9 * HOUR_S)
    moved = wrong(limit_at=NOW + 12 * HOUR_S)

    assert story.look(moved) == []  # ten minutes have not passed
    assert story.look(kept, after_s=590) == []  # less than a tenth
    assert story.look(moved) == ["UPDATED"]
    assert story.look(wrong(limit_at=NOW + 5 * HOUR_S)) == ["UPDATED"]  # half is gone: at once


_Scene = Callable[[float, float], Survey]
_SWINGS: dict[str, tuple[_Scene, float, float]] = {
    "STOCK_LOW": (
        lambda value, _: with_stock(
            round(value),
            low=500,
            empty_at=None,
            grade=Grade.WARN if round(value) <= 500 else Grade.OK,
        ),
        500,
        -1,
    ),
    "UNUPLOADED_COUNT": (lambda value, now: with_backlog(round(value), most=1000, at=now), 700, 1),
    "UNUPLOADED_AMOUNT": (
        lambda value, now: with_backlog(
            1, fen=round(value), limit=Limit.AMOUNT, most=1_000_000, at=now
        ),
        700_000,
        1,
    ),
    "UNUPLOADED_AGE": (
        lambda value, now: with_backlog(1, age_s=value, limit=Limit.AGE, most=86_400, at=now),
        21_600,
        1,
    ),
    "OFFLINE_LIMIT_REACHED": (
        lambda value, now: with_backlog(round(value), most=1000, at=now),
        1000,
        1,
    ),
    "CLOCK_SKEW": (lambda value, _: gateway(clock_ahead_s=value), 300, 1),
    "CERTIFICATE_EXPIRING": (
        lambda value, now: with_device(certificate_ends_at=now + value),
        30 * DAY_S,
        -1,
    ),
}
"""By kind: a survey of a value, the threshold, and the side it is wrong on: 1 above, -1 below."""


@pytest.mark.parametrize("kind", _SWINGS)
def test_a_value_that_swings_round_its_threshold_is_told_once_and_ends_once(kind: str) -> None:
    scene, threshold, side = _SWINGS[kind]
    for seed in _SEEDS:
        rng, story = Random(seed), Story()

        def look(part: float, story: Story = story) -> None:
            value = threshold * (1 + side * part)
            survey = scene(value, story.now + _LOOK_S)
            found = [one for one in conditions(survey, {}).values() if one.place.kind == kind]
            story.look(*found)

        # An hour of swings by up to 9 %, both ways; then well away from it.
        swings = [rng.uniform(-0.09, 0.09) for _ in range(360)]
        for swing in swings:
            look(swing)
        crossings = sum((one >= 0) is not (two >= 0) for one, two in pairwise(swings))
        raised = story.lives()
        for _ in range(30):
            look(-0.3)

        if seed % 5 == 0:
            print(f"{kind} seed {seed}: {crossings} crossings, {len(story.told)} told")
        assert crossings > 100
        assert (seed, raised) == (seed, ["RAISED"])
        assert (seed, story.lives()) == (seed, ["RAISED", "RESOLVED"])


def test_what_is_remembered_is_forgotten_with_its_alert() -> None:
    story = Story()
    for at in range(100):
        place = PLACE._replace(machine_number=f"{at:012}")
        story.look(wrong(Severity.SERIOUS, place=place))
        story.look(wrong(Severity.WARNING, place=place))
        for _ in range(8):
            story.look()

    assert story.stands == {}
    story.look()
    assert not story.hysteresis._gone_since
    assert not story.hysteresis._lower_since


def test_a_sentence_that_cannot_be_made_keeps_no_other_alert_from_being_told() -> None:
    garbled = Condition(
        place=AlertPlace("AUTHORITY_UNREACHABLE"),
        severity=Severity.WARNING,
        facts={"office": "nowhere"},
    )
    other = Condition(place=AlertPlace("LEDGER_UNWRITABLE"), severity=Severity.CRITICAL)
    found = {one.place: one for one in (garbled, other)}

    news = Hysteresis().judge({}, found, 1_800_000_000.0)

    assert [one.place for one in news] == [garbled.place, other.place]
    assert news[0].message == "AUTHORITY_UNREACHABLE {'office': 'nowhere'}"
