"""A look at everything costs what is there now, however many invoices there ever were, and past hours nothing."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import apsw

from ledger import survey
from ledger.opening import connect_reader
from ledger.sqlite import SqliteLedger
from stock.forecast import HOUR_S, KEPT_HOUR_COUNT
from tests.ledger import big_ledger, building
from tests.ledger.building import NOW, TAX_NUMBER, TENANT

SMALL, LARGE = 5_000, 20_000
SEED = 20_261_201
_HISTORY_TABLES = (" invoice", " content", " change", " signature", " submission_item", " audit")


class _Look:
    """One survey on a reader of its own: the steps it took and how each statement was answered."""

    def __init__(self, path: Path, burns: survey.Burns, now: float) -> None:
        self.vm_steps = 0
        statements: list[str] = []

        def note(traced: dict[str, Any]) -> None:
            self.vm_steps += traced["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"]
            statements.append(traced["sql"])

        connection = connect_reader(apsw.Connection, path)
        try:
            connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, note)
            self.seen = survey.survey(connection, now, burns)
            connection.trace_v2(0, None)
            self.plan = [
                str(step[3])
                for one in statements
                for step in connection.execute(
                    f"EXPLAIN QUERY PLAN {one}", (None,) * one.count("?")
                )
            ]
        finally:
            connection.close()


async def test_a_look_costs_the_same_in_a_larger_ledger(tmp_path: Path) -> None:
    paths = [await big_ledger.make(tmp_path, rows=rows) for rows in (SMALL, LARGE)]

    small, large = (_Look(path, survey.Burns(), NOW) for path in paths)

    assert large.vm_steps <= small.vm_steps * 1.1 + 100
    assert not [step for step in large.plan if step.endswith(_HISTORY_TABLES)]
    assert not [step for step in large.plan if step in ("SCAN outbox", "SCAN segment", "SCAN s")]
    assert large.seen.taxpayers[TAX_NUMBER].pending_count == 0
    assert sum(one.rejected_count for one in large.seen.taxpayers.values()) > 0


async def test_past_hours_are_read_once(tmp_path: Path) -> None:
    """A week of use by the hour costs the first look, and the next one no more than a single hour does."""
    costs = {}
    for hour_count in (1, KEPT_HOUR_COUNT):
        path, burns = tmp_path / f"{hour_count}.db", survey.Burns()
        ledger = SqliteLedger(path, verify=building.verify)
        await ledger.start(building.WORKER, NOW)
        await building.open_shop(ledger, 1_000)
        for at in range(hour_count):
            await building.issue(ledger, f"r-{at}")
            await ledger.record_samples([], now=NOW + at * HOUR_S)
        now = NOW + (hour_count - 1) * HOUR_S
        costs[hour_count] = [_Look(path, burns, now).vm_steps for _ in range(2)]
        await ledger.close()

    (_, of_an_hour), (first, again) = costs.values()
    assert again <= of_an_hour + 50
    assert first > 2 * again


async def test_what_is_kept_is_what_is_stored_whatever_the_clock_does(tmp_path: Path) -> None:
    """Hours pass by one, by many and by weeks, and the clock is set back; seed printed."""
    print("seed", SEED)
    chance = random.Random(SEED)
    ledger = SqliteLedger(tmp_path / "ledger.db", verify=building.verify)
    await ledger.start(building.WORKER, NOW)
    await building.open_shop(ledger, 5_000)
    now, number, uncounted = NOW, 0, 0
    for _ in range(300):
        hours = chance.choice((0, 0.02, 0.3, 1, 3, 30, 70, 216, -1))
        now += hours * HOUR_S
        if chance.random() < 0.4:
            sold = [f"r-{number + at}" for at in range(chance.randint(1, 9))]
            number += len(sold)
            uncounted += len(sold)
            await building.issue(ledger, *sold)
        if chance.random() < 0.6:
            await ledger.record_samples([], now=now)
            uncounted = 0

        [shelf] = (await ledger.survey(now)).taxpayers[TAX_NUMBER].shelves
        hour = int(now // HOUR_S)
        start = (hour - KEPT_HOUR_COUNT) * HOUR_S
        stored = await ledger.burn_history(TENANT, TAX_NUMBER, start=start, count_max=999)
        kept = dict(shelf.burn.taken.items())

        expected = Counter({one.hour: one.taken_count for one in stored if one.hour <= hour})
        expected[hour] += uncounted
        assert kept == +expected
    await ledger.close()
