"""Short real runs: every platform's users and the open loop on a real gateway, nothing wrong, all balanced."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.layout import ROOT
from tests.sandbox.test_runs import ours

_LOAD = re.compile(
    r"load: shape=spike requests=(\d+) failures=\d+ wrong=0 duplicated=0 balanced=yes"
)
_OPEN_LOOP = re.compile(
    r"open-loop: rate=40 due=(\d+) late=\d+ unsent=0 p50_ms=\d+\.\d p99_ms=\d+\.\d"
    r" requests=\d+ failures=0 wrong=0 duplicated=0 balanced=yes"
)
# One of each platform, and the operator.
_OPERATIONS = (
    *("railway: ticket", "charity: receipt", "school: merged batch", "merchant: sale"),
    *("bulk: stream", "operator: stock"),
)


def run(module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", f"loadtests.{module}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_every_platform_issues_and_the_books_balance(tmp_path: Path) -> None:
    done = run(
        *("load", "--folder", str(tmp_path), "--shape", "spike", "--users", "12"),
        *("--rate", "12", "--time", "15", "--workers", "2", "--seed", "7"),
    )

    assert done.returncode == 0, done.stdout + done.stderr
    found = _LOAD.fullmatch(done.stdout.splitlines()[-1])
    assert found is not None, done.stdout
    assert int(found[1]) > 50
    for operation in _OPERATIONS:
        assert f"\n| {operation} | " in done.stdout
    assert "by 2 process(es)" in done.stdout
    [folder] = tmp_path.iterdir()
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "railway: ticket" in report
    assert not (folder / "system").exists()
    assert ours(tmp_path) == []


def test_calls_at_a_fixed_rate_are_all_accounted_for(tmp_path: Path) -> None:
    done = run(
        *("open_loop", "--folder", str(tmp_path), "--rates", "20,40", "--seconds", "2"),
        *("--seed", "7", "--outstanding", "400"),
    )

    assert done.returncode == 0, done.stdout + done.stderr
    found = _OPEN_LOOP.fullmatch(done.stdout.splitlines()[-1])
    assert found is not None, done.stdout
    assert f"\n| 40 | {found[1]} | {found[1]} | 0 | " in done.stdout
    assert ours(tmp_path) == []


@pytest.mark.parametrize("module", ["load", "open_loop"])
def test_a_gateway_that_is_not_there_is_a_failure_in_one_line(module: str, tmp_path: Path) -> None:
    done = run(module, "--folder", str(tmp_path), "--target", "127.0.0.1:1")

    assert done.returncode == 1
    assert "FAILED" in done.stderr
    assert "Traceback" not in done.stderr
