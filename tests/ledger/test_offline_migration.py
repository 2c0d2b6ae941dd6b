"""A ledger from before the offline limits gets on its meters what it would have had all the time."""

from importlib.resources import files
from pathlib import Path

import apsw
import pytest

from ledger.sqlite import SqliteLedger
from tests.ledger import building
from tests.ledger.building import NOW, WORKER, a_reservation

STEP = files("ledger.migrations").joinpath("0005_offline_limits.sql").read_text("utf-8")
# What later steps hang on the columns goes first.
UNDO = """
DROP INDEX meter_open_period;
DROP TABLE offline_control;
DROP INDEX outbox_unanswered;
ALTER TABLE outbox DROP COLUMN meter_id;
ALTER TABLE meter DROP COLUMN oldest_issue_time;
ALTER TABLE meter DROP COLUMN open_period;
ALTER TABLE meter DROP COLUMN summarised_at;
ALTER TABLE meter DROP COLUMN issue_time_min;
"""
METERS = """
SELECT meter_id, oldest_issue_time, open_period, summarised_at, issue_time_min FROM meter ORDER BY 1
"""
EVENTS = "SELECT event_id, event, meter_id FROM outbox ORDER BY 1"


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Books with everything that counts, and what does not: accepted, refused, void, reserved."""
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path, verify=building.verify)
    await ledger.start(WORKER, NOW)
    await building.open_family_shop(ledger)
    first, *_ = await building.issue_all(
        ledger, *(a_reservation(f"r-{at}", type="028") for at in range(3)), now=NOW
    )
    await building.upload(ledger, "s-1", count_max=2, rejected=["00000002"])
    await building.issue_all(ledger, a_reservation("later", type="028"), now=NOW + 7)
    await building.void(ledger, first, now=NOW + 8)
    await building.reserve(ledger, a_reservation("open"), now=NOW + 9)
    await ledger.close()
    return path


def test_the_migration_fills_the_meters_as_the_ledger_would_have(path: Path) -> None:
    connection = apsw.Connection(str(path))
    before = [connection.execute(one).fetchall() for one in (METERS, EVENTS)]

    connection.execute(UNDO)
    connection.execute(STEP)

    after = [connection.execute(one).fetchall() for one in (METERS, EVENTS)]
    connection.close()
    assert after == before
    oldest = {row[1] for row in after[0]}
    assert oldest == {0, int(NOW), int(NOW) + 9}
    assert {row[2:] for row in after[0]} == {("2027-01", NOW, 0)}
