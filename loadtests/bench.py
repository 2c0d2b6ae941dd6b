"""``make bench``: what an invoice costs the server, beside the floor that nobody can leave out.

A fresh system without limits, the callers in a process of their own. In each round everything is
measured once, one after the other: the bare parts (``bench_bare``), then each load on a server that
answers the same messages with no work behind them (``bench_floor``), and on the gateway. So a slow
minute of the machine is in both. While issuing is measured the authority is out of reach, so that
uploads do not blur it; then they run, as fast as the gateway sends them; in the end the books must
balance.

The last line is for scripts. Exit status: 0 measured, 1 failed or the books do not balance; with
``--smoke`` also 1 when an invoice costs more times its floor than it may.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from loadtests import bench_report
from loadtests.bench_loads import BATCH, LOADS, UNARY, BenchFailed, Figure, Load, Server, measure
from loadtests.bench_report import Bare, Result, Round
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
from taxctl.doctor_command import check_books
from taxctl.failure import CallFailed
from taxctl.issuing import Issuing

RESULTS: Final = ROOT / "loadtests" / "RESULTS.md"
RECORDED: Final = ROOT / "loadtests" / "recorded.json"
_BATCH_SIZE: Final = 100
# No windows, no offline limits: the gateway alone sets the pace.
_UNLIMITED: Final = (
    *("--windows", "", "--age-hours", "-1", "--amount-yuan", str(10**12), "--count", "-1"),
)
_STOCK: Final = 50_000
_DRAIN_S_MAX: Final = 15.0


def main() -> int:
    """Measure, print, and answer the exit status."""
    arguments = _arguments()
    loads = (UNARY, BATCH) if arguments.smoke else LOADS
    try:
        earlier = bench_report.from_json(arguments.compare) if arguments.compare else None
        with tempfile.TemporaryDirectory(prefix="taxcontrol-bench-") as folder:
            result = _measure(Path(folder), loads, arguments)
    except (BenchFailed, CannotStart, CallFailed, NotUploaded, OSError, ValueError) as error:
        print(f"bench: FAILED {error}")
        return 1
    except KeyboardInterrupt:
        print("bench: FAILED stopped before the end")
        return 130
    print(bench_report.table(result, loads))
    if earlier is not None:
        print(f"\n{bench_report.compared(result, earlier, loads)}")
    _keep(result, loads, arguments)
    print(bench_report.line(result))
    beyond = arguments.smoke and (
        result.ratio(UNARY) > bench_report.UNARY_GOAL
        or result.ratio(BATCH) > bench_report.BATCH_GOAL
    )
    return 1 if beyond or not result.balanced else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load, each time")
    parser.add_argument("--smoke", action="store_true", help="the two loads that have a goal alone")
    parser.add_argument("--out", type=Path, help="write everything as JSON")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="what --out wrote before")
    parser.add_argument("--record", action="store_true", help="add the tables to RESULTS.md")
    return parser.parse_args()


def _measure(folder: Path, loads: Sequence[Load], arguments: argparse.Namespace) -> Result:
    subprocess.run(
        [ROOT / "softhsm-config" / "init-token.sh", folder / "token", "bare"],
        check=True,
        capture_output=True,
    )
    with System(folder / "system", simulator_options=_UNLIMITED) as system:
        connection = connect(system.target)
        with connection.channel:
            taxpayers = _prepare(connection, folder)
            gateway = Server(system.target, system.gateway.pid)
            rounds = []
            with _authority_away(system.simulator_target), _floor(folder) as floor:
                for at in range(arguments.rounds):
                    print(f"  round {at + 1} of {arguments.rounds}", flush=True)
                    rounds.append(_round(folder, loads, gateway, floor, at, arguments.seconds))
            upload_per_s = _drain(connection, taxpayers)
            print("  checking the books", flush=True)
            books = check_books(connection, lambda *_: None)
    return Result(
        at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        machine=bench_report.machine(),
        rounds=rounds,
        upload_per_s=upload_per_s,
        balanced=books.balanced,
    )


def _round(  # noqa: PLR0917 - each is named where it is made
    folder: Path, loads: Sequence[Load], gateway: Server, floor: Server, at: int, seconds: float
) -> Round:
    bare = _bare(folder, sorted({load.group_count for load in loads}), seconds)
    real: dict[str, Figure] = {}
    empty: dict[str, Figure] = {}
    for n, load in enumerate(loads):
        for name, server, found in (("e", floor, empty), ("r", gateway, real)):
            print(f"    {load.name}{', empty' if server is floor else ''}", flush=True)
            found[load.name] = measure(
                load,
                server,
                templates=folder / "templates",
                prefix=f"bench-{name}{at}-{n}",
                seconds=seconds,
            )
    return Round(bare=bare, real=real, empty=empty)


def _bare(folder: Path, groups: Sequence[int], seconds: float) -> Bare:
    print("    bare parts", flush=True)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "loadtests.bench_bare", folder),
            *("--seconds", str(min(seconds, 0.5)), "--groups", *map(str, groups)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchFailed(f"the bare parts failed: {done.stderr.strip()[-500:]}")
    return Bare(**json.loads(done.stdout))


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
def _floor(folder: Path) -> Iterator[Server]:
    process = Process(
        "floor",
        [
            *(sys.executable, "-m", "loadtests.bench_floor"),
            *(str(folder / "single"), str(folder / "batch")),
        ],
        log=folder / "floor.log",
    )
    try:
        yield Server(process.start(), process.pid, prebuilt=True)
    finally:
        process.stop()


def _drain(connection: Connection, taxpayers: Sequence[Taxpayer]) -> float:
    """Let the uploads run for a while, and measure how many get through a second."""
    print("  measuring uploads", flush=True)
    waiting: list[tuple[float, int]] = []

    def note(count: int) -> None:
        waiting.append((time.perf_counter(), count))

    # What is left when the time is over was never going to be counted.
    with suppress(UploadsLate):
        wait_for_uploads(connection, taxpayers, wait_s=_DRAIN_S_MAX, progress=note)
    (began, first), (ended, last) = waiting[0], waiting[-1]
    return (first - last) / max(ended - began, 1e-9)


def _keep(result: Result, loads: Sequence[Load], arguments: argparse.Namespace) -> None:
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(bench_report.to_json(result), "utf-8")
    if arguments.record:
        with RESULTS.open("a", encoding="utf-8") as results:
            results.write(f"\n## {result.at}\n\n{result.machine}.\n\n")
            results.write(f"{bench_report.table(result, loads)}\n")
        recorded = {
            "at": result.at,
            "unary": round(result.ratio(UNARY), 2),
            "batch": round(result.ratio(BATCH), 2),
        }
        RECORDED.write_text(json.dumps(recorded) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
