"""Killed in mid-write, again and again: what was answered is there, and the books balance (I4)."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from ledger.sqlite import SqliteLedger
from tests.ledger import building
from tests.ledger.building import NOW, TENANT, WORKER

ROOT = Path(__file__).parents[2]
CYCLES = 5


def _run_and_kill(path: Path, cycle: int, line_count: int) -> list[list[str]]:
    """Let a writer answer some lines, kill it, and return everything it has answered."""
    command = [sys.executable, "-m", "tests.ledger.killed_writer", str(path), str(cycle)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(line_count)]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
    # A kill that did not kill proves nothing.
    assert writer.returncode == -signal.SIGKILL
    return [line.split() for line in lines if line.endswith("\n")]


@pytest.mark.timeout(120)
async def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    seed = 20_261_122
    sys.stdout.write(f"seed {seed}\n")
    random = Random(seed)
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path, verify=building.verify)
    await ledger.start(WORKER, NOW - 10**9)
    await building.open_shop(ledger, 200_000)
    await ledger.close()

    answered: list[list[str]] = []
    for cycle in range(CYCLES):
        answered += _run_and_kill(path, cycle, random.randint(40, 900))

        *_, last = SqliteLedger(path, verify=building.verify).check_books()
        assert last.balanced, cycle
        assert last.reserved_count <= 32

    ledger = SqliteLedger(path, verify=building.verify)
    await ledger.start(WORKER, NOW)
    numbers: dict[str, str] = {}
    for kind, request_id, said in (line for line in answered if line[0] != "started"):
        entry = await ledger.find_request(TENANT, request_id)
        assert entry is not None, request_id
        if kind == "reserved":
            numbers[request_id] = entry.number
            assert entry.number == said
        else:
            assert (entry.signature or b"").hex() == said
    await ledger.close()
    assert len(set(numbers.values())) == len(numbers) > 100
    assert [line[0] for line in answered].count("started") == CYCLES
