"""The loads of ``make bench``: which callers, and what each costs the server it is pointed at."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.layout import ROOT


class BenchFailed(Exception):
    """The figures would mean nothing; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Load:
    """Callers in a closed loop. ``batch_size`` 0 is single calls; ``stream``: each caller is a stream.

    ``group_count`` is how many rows a transaction has at such a load, about: what the floor's row is
    measured with.
    """

    name: str
    caller_count: int
    batch_size: int = 0
    stream: bool = False
    group_count: int = 1

    def options(self) -> list[str]:
        """What the client's process is told."""
        options = ["--callers", str(self.caller_count), "--batch-size", str(self.batch_size)]
        return [*options, "--stream"] if self.stream else options


UNARY: Final = Load("unary × 64", 64, group_count=32)
BATCH: Final = Load("batch of 100 × 4", 4, batch_size=100, group_count=128)
LOADS: Final = (
    Load("unary × 1", 1),
    Load("unary × 16", 16, group_count=8),
    UNARY,
    Load("unary × 256", 256, group_count=128),
    Load("batch of 1 × 4", 4, batch_size=1, group_count=2),
    Load("batch of 10 × 4", 4, batch_size=10, group_count=20),
    BATCH,
    Load("batch of 500 × 4", 4, batch_size=500, group_count=128),
    Load("stream × 4", 4, stream=True, group_count=128),
)
"""All that are measured; the smoke test takes ``UNARY`` and ``BATCH`` alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One load on one server, once. CPU is that of all the server's threads, for each invoice."""

    per_s: float
    cpu_us: float
    client_share: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float


@dataclass(frozen=True, slots=True)
class Server:
    """Where a load goes. ``prebuilt``: all its answers are the same."""

    target: str
    pid: int
    prebuilt: bool = False


def measure(load: Load, server: Server, *, templates: Path, prefix: str, seconds: float) -> Figure:
    """Run the callers in a process of their own; raise :class:`BenchFailed`."""
    command = [
        *(sys.executable, "-m", "loadtests.bench_client", "--target", server.target),
        *("--templates", str(templates), "--prefix", prefix, "--seconds", str(seconds)),
        *load.options(),
        *(["--prebuilt"] if server.prebuilt else []),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        client.stdout.readline()
        before = cpu_s(server.pid)
        answer = client.stdout.readline()
        used = cpu_s(server.pid) - before
    if not answer:
        raise BenchFailed(f"the client of {load.name} failed")
    seen = json.loads(answer)
    return Figure(
        per_s=seen["invoice_count"] / seen["elapsed_s"],
        cpu_us=1e6 * used / seen["invoice_count"],
        client_share=seen["cpu_s"] / seen["elapsed_s"],
        p50_ms=seen["p50_ms"],
        p90_ms=seen["p90_ms"],
        p99_ms=seen["p99_ms"],
        p999_ms=seen["p999_ms"],
    )


def cpu_s(pid: int) -> float:
    """CPU seconds a process has used, its threads included (Linux: fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
