"""``make bench``: invoices a second, and the server's CPU beside an empty call on the same stack.

A fresh system without limits, the callers in a process of their own. The floor is a server that
answers the same messages, prebuilt, with no work behind them (``bench_floor``). While issuing is
measured the authority is out of reach, so that uploads do not blur its CPU; then they run, as fast
as the gateway sends them, and are measured apart.

The last line is for scripts; ``--record`` also adds the table to ``loadtests/RESULTS.md``.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from sandbox.invoices import counters, request
from sandbox.layout import ROOT
from sandbox.process import CannotStart, Process
from sandbox.system import System
from sandbox.taxpayers import VAT_SELLERS, register_samples, stock_up
from sandbox.uploads import NotUploaded, UploadsLate, wait_for_uploads
from taxcontrol.admin.v1.taxpayer_pb2 import Taxpayer
from taxcontrol.authority.v1.simulator_service_pb2 import FaultPlan, SetFaultsRequest
from taxcontrol.authority.v1.simulator_service_pb2_grpc import SimulatorServiceStub
from taxcontrol.v1.invoice_service_pb2 import (
    BatchIssueInvoicesRequest,
    BatchIssueInvoicesResponse,
    IssueInvoiceResponse,
)
from taxctl.connection import Connection, connect
from taxctl.failure import CallFailed
from taxctl.issuing import Issuing

RESULTS = ROOT / "loadtests" / "RESULTS.md"
_BATCH_SIZE = 100
# No windows, no offline limits: the gateway alone sets the pace.
_UNLIMITED = ("--windows", "", "--age-hours", "-1", "--amount-yuan", str(10**12), "--count", "-1")
_STOCK = 50_000
_DRAIN_S_MAX = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured load on one server."""

    name: str
    invoice_count: int
    elapsed_s: float
    cpu_s: float
    p50_ms: float = 0.0
    p99_ms: float = 0.0

    @property
    def per_s(self) -> float:
        """Invoices a second."""
        return self.invoice_count / self.elapsed_s

    @property
    def cpu_us(self) -> float:
        """CPU of the server an invoice."""
        return 1e6 * self.cpu_s / max(1, self.invoice_count)


class BenchFailed(Exception):
    """The figures would mean nothing; the sentence says why."""


def main() -> int:
    """Measure, print, and answer the exit status."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measured load")
    parser.add_argument("--callers", type=int, default=64, help="of single calls")
    parser.add_argument("--batch-callers", type=int, default=4)
    parser.add_argument("--record", action="store_true", help="add the result to RESULTS.md")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="taxcontrol-bench-") as folder:
            figures = _measure(Path(folder), arguments)
    except (BenchFailed, CannotStart, CallFailed, NotUploaded) as error:
        print(f"bench: FAILED {error}")
        return 1
    except KeyboardInterrupt:
        print("bench: FAILED stopped before the end")
        return 130
    table = _table(figures)
    print(table)
    if arguments.record:
        _record(table)
    print(_line(figures))
    return 0


def _measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Figure]:
    single = ["--callers", str(arguments.callers), "--seconds", str(arguments.seconds)]
    batch = [
        *("--callers", str(arguments.batch_callers), "--seconds", str(arguments.seconds)),
        *("--batch-size", str(_BATCH_SIZE)),
    ]
    with System(folder / "system", simulator_options=_UNLIMITED) as system:
        connection = connect(system.target)
        with connection.channel:
            taxpayers = _prepare(connection, folder)
            with _authority_away(system.simulator_target):
                unary = _load("unary", system.target, system.gateway.pid, folder, single)
                batched = _load("batch", system.target, system.gateway.pid, folder, batch)
            upload = _drain(connection, taxpayers, system.gateway.pid)
    with _floor(folder) as (target, pid):
        empty = _load("empty", target, pid, folder, single)
        empty_batch = _load("empty batch", target, pid, folder, batch)
    return {figure.name: figure for figure in (unary, empty, batched, empty_batch, upload)}


def _prepare(connection: Connection, folder: Path) -> list[Taxpayer]:
    """Make everything ready, and write what the client sends and the floor answers to files."""
    taxpayers = register_samples(connection, VAT_SELLERS)
    places = counters(taxpayers)
    stock_up(connection, places, low=1, count=_STOCK)
    templates = [request(place, n, request_id="-") for n, place in enumerate(places)]
    (folder / "templates").write_bytes(
        BatchIssueInvoicesRequest(requests=templates).SerializeToString()
    )
    wanted = [
        request(places[n % len(places)], n, request_id=f"sample-of-an-id-{n}")
        for n in range(_BATCH_SIZE)
    ]
    results = Issuing(connection).issue(wanted)
    if not all(result.HasField("issued") for result in results):
        raise BenchFailed("the sample batch was not issued")
    (folder / "single").write_bytes(
        IssueInvoiceResponse(issued=results[0].issued).SerializeToString()
    )
    (folder / "batch").write_bytes(BatchIssueInvoicesResponse(results=results).SerializeToString())
    return taxpayers


@contextmanager
def _authority_away(target: str) -> Iterator[None]:
    connection = connect(target)
    with connection.channel:
        stub = SimulatorServiceStub(connection.channel)
        away = SetFaultsRequest(plan=FaultPlan(unreachable=True))
        connection.call(stub.SetFaults, away)
        yield
        connection.call(stub.SetFaults, SetFaultsRequest())


@contextmanager
def _floor(folder: Path) -> Iterator[tuple[str, int]]:
    process = Process(
        "floor",
        [
            sys.executable,
            "-m",
            "loadtests.bench_floor",
            str(folder / "single"),
            str(folder / "batch"),
        ],
        log=folder / "floor.log",
    )
    try:
        yield process.start(), process.pid
    finally:
        process.stop()


def _load(name: str, target: str, pid: int, folder: Path, options: Sequence[str]) -> Figure:
    """Run the client against ``target``; the CPU is that of ``pid`` meanwhile."""
    print(f"  measuring {name}", flush=True)
    command = [
        *(sys.executable, "-m", "loadtests.bench_client", "--target", target),
        *("--templates", str(folder / "templates"), "--prefix", name.replace(" ", "-")),
        *options,
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        client.stdout.readline()
        before = cpu_s(pid)
        answer = client.stdout.readline()
        used = cpu_s(pid) - before
    if not answer:
        raise BenchFailed(f"the client of {name} failed")
    seen = json.loads(answer)
    return Figure(
        name=name,
        invoice_count=seen["invoice_count"],
        elapsed_s=seen["elapsed_s"],
        cpu_s=used,
        p50_ms=seen["p50_ms"],
        p99_ms=seen["p99_ms"],
    )


def _drain(connection: Connection, taxpayers: Sequence[Taxpayer], pid: int) -> Figure:
    """Let the uploads run for a while, and measure how many get through."""
    print("  measuring upload", flush=True)
    waiting: list[tuple[float, int]] = []
    before = cpu_s(pid)

    def note(count: int) -> None:
        waiting.append((time.perf_counter(), count))

    # What is left when the time is over was never going to be counted.
    with suppress(UploadsLate):
        wait_for_uploads(connection, taxpayers, wait_s=_DRAIN_S_MAX, progress=note)
    (began, first), (ended, last) = waiting[0], waiting[-1]
    return Figure(
        name="upload",
        invoice_count=first - last,
        elapsed_s=max(ended - began, 1e-9),
        cpu_s=cpu_s(pid) - before,
    )


def cpu_s(pid: int) -> float:
    """CPU seconds a process has used, its threads included (Linux: fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _table(figures: dict[str, Figure]) -> str:
    floors = {"unary": "empty", "batch": "empty batch"}
    rows = [
        "| load | invoices/s | server CPU µs/invoice | of the empty call | p50 ms | p99 ms |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, figure in figures.items():
        floor = figures.get(floors.get(name, ""))
        ratio = f"× {figure.cpu_us / floor.cpu_us:.1f}" if floor is not None else ""
        latencies = f"{figure.p50_ms:.1f} | {figure.p99_ms:.1f}" if figure.p50_ms else " | "
        rows.append(
            f"| {name} | {figure.per_s:,.0f} | {figure.cpu_us:.1f} | {ratio} | {latencies} |"
        )
    return "\n".join(rows)


def _line(figures: dict[str, Figure]) -> str:
    unary, batch = figures["unary"], figures["batch"]
    return (
        f"bench: unary={unary.per_s:.0f}/s unary_cpu_us={unary.cpu_us:.1f}"
        f" empty_cpu_us={figures['empty'].cpu_us:.1f} batch={batch.per_s:.0f}/s"
        f" batch_cpu_us={batch.cpu_us:.1f} empty_batch_cpu_us={figures['empty batch'].cpu_us:.1f}"
    )


def _record(table: str) -> None:
    now = datetime.now(UTC)
    head = (
        f"\n## {now:%Y-%m-%d %H:%M} UTC\n\n{os.cpu_count()} cores {platform.machine()},"
        f" Python {platform.python_version()}, grpcio {version('grpcio')}, client on the same"
        f" machine.\n\n"
    )
    with RESULTS.open("a", encoding="utf-8") as results:
        if results.tell() == 0:
            results.write(
                "# Results of `make bench`\n\nAdded by `python -m loadtests.bench --record`.\n"
            )
        results.write(f"{head}{table}\n")


if __name__ == "__main__":
    sys.exit(main())
