"""A search that looks a few rows ahead at a time finds what one that sees everything finds."""

from pathlib import Path

import pytest

from ledger import listing, runs
from ledger.sqlite import SqliteLedger
from tests.ledger import building
from tests.ledger.mixed import SEED, filters, make_world, names, pages


@pytest.mark.parametrize("newest_first", [False, True])
async def test_a_short_sight_changes_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newest_first: bool
) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db", verify=building.verify)
    await ledger.start(building.WORKER, building.NOW)
    world = await make_world(ledger)
    monkeypatch.setattr(listing, "_EXAMINED_COUNT_MAX", 6)
    monkeypatch.setattr(listing, "_RUN_COUNT_MIN", 2)
    empty = 0
    print(f"seed {SEED}")

    for events_max in (2_000, 0):  # through the open events, and past them
        monkeypatch.setattr(runs, "_EVENTS_MAX", events_max)
        for wanted in filters():
            if not events_max and wanted.upload_state is None:
                continue
            expected = world.expected(wanted)
            found = await pages(ledger, wanted, count_max=4, newest_first=newest_first)
            empty += sum(not page for page in found[:-1])
            assert names(found) == (expected[::-1] if newest_first else expected), wanted

    assert empty
    await ledger.close()
