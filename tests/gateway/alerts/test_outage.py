"""R9: in every backlog that grows steadily people are told half an hour before issuing stops, once."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quota.offline import OfflineLimits
from tests.fakes import virtual_time
from tests.fakes.virtual_time import EPOCH_S
from tests.gateway.alerts.outage import HOUR_S, lives, outage, table

_AHEAD_H = 0.5
_OUTAGE_H = 60.0
# 120 invoices an hour of 100 yuan each.
_PER_HOUR = 120.0
_NET_FEN = 10_000
LIMITS = {
    "UNUPLOADED_AGE": (OfflineLimits(age_hours_max=48), "OFFLINE_AGE_EXCEEDED"),
    "UNUPLOADED_COUNT": (OfflineLimits(count_max=6_000), "OFFLINE_COUNT_EXCEEDED"),
    "UNUPLOADED_AMOUNT": (
        OfflineLimits(amount_fen_max=6_000 * _NET_FEN),
        "OFFLINE_AMOUNT_EXCEEDED",
    ),
}


@pytest.mark.parametrize("kind", sorted(LIMITS))
def test_an_outage_of_60_hours_is_told_of_in_time_once_and_ends(tmp_path: Path, kind: str) -> None:
    limits, reason = LIMITS[kind]

    async def story() -> None:
        async with outage(tmp_path, limits) as there:
            began = there.clock.now()
            await there.issue(
                per_hour=_PER_HOUR, every_s=240.0, net_fen=_NET_FEN, until=began + 2 * HOUR_S
            )
            there.away = True
            await there.issue(
                per_hour=_PER_HOUR,
                every_s=240.0,
                net_fen=_NET_FEN,
                until=began + (2 + _OUTAGE_H) * HOUR_S,
            )
            there.away = False
            await there.issue(
                per_hour=_PER_HOUR,
                every_s=240.0,
                net_fen=_NET_FEN,
                until=began + (4 + _OUTAGE_H) * HOUR_S,
            )
            changes = await there.changes()
            print(table(f"{kind}: {limits}", changes))
            told = lives(changes)
            stopped_h = (there.refusals[reason] - EPOCH_S) / HOUR_S

            assert [what for what, _ in told[kind]] == ["RAISED", "RESOLVED"]
            assert told[kind][0][1] <= stopped_h - _AHEAD_H
            # A call is lost when it times out, after 10 minutes here; a minute later it is told.
            assert 2 <= told["AUTHORITY_UNREACHABLE"][0][1] <= 2.3
            for ended in told:
                assert [what for what, _ in told[ended]] == ["RAISED", "RESOLVED"], ended
            for ended in (kind, "AUTHORITY_UNREACHABLE", "OFFLINE_LIMIT_REACHED"):
                assert told[ended][1][1] >= 2 + _OUTAGE_H
            assert len(changes) < 120  # forecasts are told now and then, not at every look
            assert there.engine.counts.all.severities == {}
            assert abs(told["OFFLINE_LIMIT_REACHED"][0][1] - stopped_h) <= 0.1
            assert [found for word in there.ledger.check_books() for found in word.findings] == []

    virtual_time.run(story())


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    print_blob=True,
)
@given(
    per_hour=st.sampled_from([30.0, 120.0, 600.0]),
    hours=st.floats(1.0, 9.0),
    warmup_h=st.sampled_from([0.2, 1.0]),
    kind=st.sampled_from(sorted(LIMITS)),
)
def test_whatever_the_rate_and_the_limit_it_is_told_half_an_hour_before(
    tmp_path_factory: pytest.TempPathFactory,
    per_hour: float,
    hours: float,
    warmup_h: float,
    kind: str,
) -> None:
    """A limit that a steady rate reaches after one to nine hours; ages are whole hours."""
    count = max(20, round(per_hour * hours))
    limits = {
        "UNUPLOADED_AGE": OfflineLimits(age_hours_max=max(1, round(hours))),
        "UNUPLOADED_COUNT": OfflineLimits(count_max=count),
        "UNUPLOADED_AMOUNT": OfflineLimits(amount_fen_max=count * _NET_FEN),
    }[kind]

    async def story() -> None:
        async with outage(tmp_path_factory.mktemp("outage"), limits) as there:
            began = there.clock.now()
            for until_h, away in ((warmup_h, False), (warmup_h + hours + 2, True)):
                there.away = away
                await there.issue(
                    per_hour=per_hour,
                    every_s=120.0,
                    net_fen=_NET_FEN,
                    until=began + until_h * HOUR_S,
                )
            told = lives(await there.changes())
            stopped_h = (there.refusals[LIMITS[kind][1]] - EPOCH_S) / HOUR_S
            print(f"{kind} {limits} at {per_hour}/h: raised {told[kind]}, stopped {stopped_h:.2f}")

            assert [what for what, _ in told[kind]] == ["RAISED"]
            assert told[kind][0][1] <= stopped_h - _AHEAD_H

    virtual_time.run(story())
