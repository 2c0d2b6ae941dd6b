"""The benchmark's line for scripts is made of what was measured, and a short run makes one."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from loadtests.bench import cpu_s
from sandbox.layout import ROOT

_LINE = re.compile(
    r"bench: unary=\d+/s unary_cpu_us=\d+\.\d empty_cpu_us=\d+\.\d"
    r" batch=\d+/s batch_cpu_us=\d+\.\d empty_batch_cpu_us=\d+\.\d"
)


def test_cpu_is_what_the_process_used() -> None:
    before, used = cpu_s(os.getpid()), time.process_time()

    while time.process_time() < used + 0.2:
        sum(range(1000))

    # The kernel counts in hundredths.
    assert 0.15 <= cpu_s(os.getpid()) - before <= 1.0


def test_a_short_run_measures_every_load(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.bench", "--seconds", "0.3", "--callers", "8"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert _LINE.fullmatch(done.stdout.splitlines()[-1])
    for load in ("unary", "empty", "batch", "empty batch", "upload"):
        assert f"\n| {load} |" in done.stdout
    assert list(tmp_path.iterdir()) == []
