"""What the rate windows have seen keeps its age over a restart, whatever the clocks did meanwhile."""

from pathlib import Path

import pytest

from ledger.permits import Boot
from ledger.sqlite import SqliteLedger
from tests.ledger import building
from tests.ledger.building import NOW, TAX_NUMBER, WORKER


async def _start(path: Path, *, wall_s: float, boot: Boot) -> SqliteLedger:
    """A gateway's ledger, started when the wall clock shows ``wall_s`` after ``NOW``."""
    ledger = SqliteLedger(path, verify=building.verify, boot=lambda: boot)
    await ledger.start(WORKER, NOW + wall_s)
    return ledger


async def _call(ledger: SqliteLedger, wall_s: float) -> None:
    permit = await ledger.add_permit(TAX_NUMBER, sent_at=NOW + wall_s)
    await ledger.answer_permit(permit, answered_at=NOW + wall_s)


async def _answers(ledger: SqliteLedger) -> list[float | None]:
    """When each permit was answered, in seconds after ``NOW``."""
    found = await ledger.permits(TAX_NUMBER, answered_after=0.0)
    return [None if one.answered_at is None else one.answered_at - NOW for one in found]


@pytest.mark.parametrize("step_s", [0.0, 3_700.0, -3_700.0])
async def test_a_step_of_the_wall_clock_over_a_restart_ages_no_permit(
    tmp_path: Path, step_s: float
) -> None:
    path = tmp_path / "ledger.db"
    before = await _start(path, wall_s=0.0, boot=Boot("boot-1", 100.0))
    await building.register(before)
    await _call(before, 0.5)
    await _call(before, 1.0)
    await before.close()

    # Five seconds after the first start, whatever the wall clock says.
    after = await _start(path, wall_s=5.0 + step_s, boot=Boot("boot-1", 105.0))
    answers = await _answers(after)
    await after.close()

    assert answers == pytest.approx([0.5 + step_s, 1.0 + step_s], abs=0.001)


async def test_steps_over_many_restarts_do_not_add_up(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = await _start(path, wall_s=0.0, boot=Boot("boot-1", 100.0))
    await building.register(ledger)
    await _call(ledger, 0.0)
    for count, step_s in enumerate((3_700.0, -90_000.0, 12.0), start=1):
        await ledger.close()
        ledger = await _start(path, wall_s=step_s, boot=Boot("boot-1", 100.0 + count))
        ages = [step_s - at for at in await _answers(ledger) if at is not None]
        assert ages == pytest.approx([float(count)], abs=0.001)
    await ledger.close()


@pytest.mark.parametrize("boot_id", ["boot-2", ""])
@pytest.mark.parametrize("step_s", [0.0, 90_000.0, -90_000.0])
async def test_after_a_boot_what_may_still_count_is_answered_at_the_start(
    tmp_path: Path, boot_id: str, step_s: float
) -> None:
    path = tmp_path / "ledger.db"
    before = await _start(path, wall_s=0.0, boot=Boot("boot-1", 100.0))
    await building.register(before)
    await _call(before, 8.0)
    await _call(before, 9.0)
    await before.close()

    # Twice: what was moved once is moved again, though the clock went back in between.
    moved = await _start(path, wall_s=10.0 + step_s, boot=Boot(boot_id, 3.0))
    await moved.close()
    after = await _start(path, wall_s=11.0, boot=Boot("boot-3", 3.0))
    answers = await _answers(after)
    await after.close()

    assert answers == [11.0, 11.0]


async def test_what_was_over_before_the_last_call_stays_over_after_a_boot(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    before = await _start(path, wall_s=0.0, boot=Boot("boot-1", 100.0))
    await building.register(before)
    # The windows are one second long; the last call was sent before the first was forgotten.
    await _call(before, 0.0)
    last = await before.add_permit(TAX_NUMBER, sent_at=NOW + 1.9)
    await before.answer_permit(last, answered_at=NOW + 4.0)
    await before.close()

    after = await _start(path, wall_s=60.0, boot=Boot("boot-2", 3.0))
    answers = await _answers(after)
    await after.close()

    assert answers == [0.0, 60.0]
