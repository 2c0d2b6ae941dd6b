"""Limits so far away that their time is none of a calendar's do not silence the alerts."""

from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict

from gateway.alerts.engine import NOTHING_STANDS
from gateway.desk import wire
from quota.offline import OfflineLimits
from tests.fakes import virtual_time
from tests.gateway.alerts.outage import HOUR_S, Outage, lives, outage

FAR = (
    OfflineLimits(count_max=2**31 - 1),
    OfflineLimits(amount_fen_max=10**15),
    OfflineLimits(age_hours_max=2**31 - 1),
)


@pytest.mark.parametrize("limits", FAR)
def test_alerts_are_raised_however_far_a_limit_is(tmp_path: Path, limits: OfflineLimits) -> None:
    virtual_time.run(_slow_outage(tmp_path, limits))


async def _slow_outage(folder: Path, limits: OfflineLimits) -> None:
    async with outage(folder, limits) as world:
        world.away = True
        begin = world.clock.now()
        # Two invoices an hour, of which hardly anything is left to pay.
        await world.issue(per_hour=2, every_s=600, net_fen=2, until=begin + 5 * HOUR_S)

        kinds = lives(await world.changes())

        assert "AUTHORITY_UNREACHABLE" in kinds
        # Without hours of its own the limit leaves those that hold by default.
        assert ("UNUPLOADED_AGE" in kinds) == (limits.age_hours_max is None)
        _check_desk(world)


def _check_desk(world: Outage) -> None:
    survey = world.surveyor.latest
    assert survey is not None
    for taxpayer in wire.taxpayers(
        list(survey.taxpayers.values()), NOTHING_STANDS.by_taxpayer, survey.at
    ):
        assert MessageToDict(taxpayer)  # what is no time of a calendar has no JSON
