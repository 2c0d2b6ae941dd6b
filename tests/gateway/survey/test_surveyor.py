"""A survey is taken now and then, holds up nobody, and when the ledger fails the last one is kept."""

import asyncio
from itertools import pairwise
from pathlib import Path

import apsw
import pytest

from gateway.desk.survey import Survey, urgency
from ledger.survey_records import ThresholdRecord
from quota.offline import Grade
from stock.forecast import HOUR_S
from tests.gateway.survey.lookout import open_lookout, register_crowd
from tests.ledger import building
from tests.ledger.building import TAX_NUMBER, TENANT, TYPE


async def test_others_have_their_turn_while_a_survey_is_taken(tmp_path: Path) -> None:
    """Counted in turns, not in time: one for every few taxpayers at least."""
    async with open_lookout(tmp_path) as lookout:
        await register_crowd(lookout.ledger, 100)
        reading = await lookout.ledger.survey(lookout.clock.now())
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(others())
        await asyncio.sleep(0)
        turns = 0
        await lookout.surveyor._taxpayers(reading, lookout.clock.now())
        other.cancel()

        assert turns >= 100 // 20


async def test_the_nearest_to_trouble_come_first(tmp_path: Path) -> None:
    async with open_lookout(tmp_path) as lookout:
        await register_crowd(lookout.ledger, 3)
        await building.open_shop(lookout.ledger, 2)
        await building.issue(lookout.ledger, "r-1", "r-2")
        await lookout.surveyor.look()
        lookout.clock.passed_s += 60

        survey = await lookout.surveyor.look()

        lines = list(survey.taxpayers.values())
        assert lines[0].tax_number == TAX_NUMBER
        assert lines[0].grade is Grade.STOP
        assert lines == sorted(lines, key=urgency)
        assert [one.tax_number for one in lines] == list(survey.taxpayers)


async def test_when_the_ledger_fails_the_last_survey_is_kept_and_marked(tmp_path: Path) -> None:
    async with open_lookout(tmp_path) as lookout:
        await building.open_shop(lookout.ledger, 100)
        heard: list[Survey] = []
        lookout.surveyor.tell(heard.append)
        good = await lookout.surveyor.look()
        other = apsw.Connection(str(tmp_path / "ledger.db"))
        other.execute("ALTER TABLE meter RENAME TO meter_away")

        failed = await lookout.surveyor.look()
        other.execute("ALTER TABLE meter_away RENAME TO meter")
        mended = await lookout.surveyor.look()
        other.close()

        assert [one.ledger_writable for one in (good, failed, mended)] == [True, False, True]
        assert failed.taxpayers == good.taxpayers
        assert heard == [good, failed, mended]


async def test_what_health_found_is_in_the_survey(tmp_path: Path) -> None:
    async with open_lookout(tmp_path) as lookout:
        lookout.vitals.ledger = lookout.vitals.device = False

        survey = await lookout.surveyor.look()

        assert (survey.ledger_writable, survey.signing_available) == (False, False)


async def test_a_clock_that_was_behind_shows_for_a_minute(tmp_path: Path) -> None:
    async with open_lookout(tmp_path) as lookout:
        lookout.measures.clamped = (lookout.clock.now(), 7.5)
        seen = [(await lookout.surveyor.look()).clamped_s]
        for passed_s in (60.0, 1.0):
            lookout.clock.passed_s += passed_s
            seen.append((await lookout.surveyor.look()).clamped_s)

        assert seen == [7.5, 7.5, 0.0]


async def test_it_is_looked_every_few_seconds_and_at_once_when_asked(tmp_path: Path) -> None:
    async with open_lookout(tmp_path) as lookout:
        looks: asyncio.Queue[float] = asyncio.Queue()
        lookout.surveyor.tell(lambda survey: looks.put_nowait(survey.at - building.NOW))
        await lookout.surveyor.start()
        times = [await looks.get()]
        await lookout.clock.asked()
        await lookout.clock.move(0.0)
        await lookout.clock.asked()
        await lookout.clock.move(5.0)
        times.append(await looks.get())
        lookout.surveyor.wake()
        await lookout.clock.asked()
        await lookout.clock.move(0.0)
        lookout.surveyor.wake()
        times.append(await looks.get())

        assert times == [0.0, 5.0, 5.0]


async def test_samples_are_stored_once_a_minute_while_there_is_a_backlog(tmp_path: Path) -> None:
    async with open_lookout(tmp_path) as lookout:
        await building.open_shop(lookout.ledger, 100)
        await building.issue(lookout.ledger, "r-1", "r-2")
        for _ in range(24):
            await lookout.surveyor.look()
            lookout.clock.passed_s += 10.0
        await building.upload(lookout.ledger, "s-1")
        for _ in range(12):
            await lookout.surveyor.look()
            lookout.clock.passed_s += 10.0

        samples = await lookout.ledger.backlog_history(TENANT, TAX_NUMBER, start=0)
        burn = await lookout.ledger.burn_history(TENANT, TAX_NUMBER, start=0, count_max=999)

        assert [one.unuploaded_count for one in samples] == [2] * 4
        assert [later.at - one.at for one, later in pairwise(samples)] == [60] * 3
        assert sum(one.taken_count for one in burn) == 2


@pytest.mark.parametrize("low_count", [None, 98, 97])
async def test_stock_is_low_by_its_threshold(tmp_path: Path, low_count: int | None) -> None:
    async with open_lookout(tmp_path) as lookout:
        await building.open_shop(lookout.ledger, 100)
        await building.issue(lookout.ledger, "r-1", "r-2")
        if low_count is not None:
            await lookout.ledger.set_stock_threshold(
                ThresholdRecord(
                    tax_number=TAX_NUMBER,
                    point=None,
                    type=TYPE,
                    low_count=low_count,
                    target_count=500,
                    auto_draw=False,
                ),
                binding=building.binding("set_stock_threshold"),
                act=building.ACT,
            )
        await lookout.surveyor.look()
        lookout.clock.passed_s += HOUR_S

        [line] = (await lookout.surveyor.look()).taxpayers[TAX_NUMBER].stock

        assert line.available_count == 98
        assert line.grade is (Grade.WARN if low_count == 98 else Grade.OK)
