"""``make load``: Locust's users on a gateway, every answer checked, and the books at the end.

Without ``--target`` it starts a gateway and both authorities' simulators of its own. The report
is in ``var/load/…/report.html``; the last line is for scripts. Exit status: 0 when nothing is wrong,
doubled or out of balance (refusals alone are no fault), 1 else.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import SystemRandom
from types import FrameType
from typing import Final, NoReturn

from loadtests import report, shapes
from loadtests.options import Options
from loadtests.run import FOLDER, RunFailed, Verdict, fail, judge, machine, new_folder, prepared
from sandbox.layout import ROOT
from sandbox.process import CannotStart
from taxctl.failure import CallFailed

_LOCUSTFILE: Final = ROOT / "loadtests" / "locustfile.py"
# Users end what they are at; what takes longer than this is cut off.
_STOP_S: Final = 30
_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and answer the exit status."""
    asked = _arguments(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    shape = asked.shape or ("by hand" if asked.ui else "steady")
    folder = new_folder(asked.folder, shape.replace(" ", "-"))
    started = machine()
    try:
        with prepared(asked.target, folder) as target:
            options = Options(
                target=target,
                folder=str(folder),
                shape="" if asked.ui and not asked.shape else shape,
                users=asked.users,
                rate=asked.rate,
                seconds=asked.time,
                seed=asked.seed,
            )
            began = time.monotonic()
            _locust(
                options, folder, workers=asked.workers, ui_port=asked.port if asked.ui else None
            )
            seconds = time.monotonic() - began
            verdict = judge(target, folder)
            _print(verdict, options, started, seconds, folder)
            _check(verdict, asked.workers)
            print(f"load: shape={shape.replace(' ', '-')} {verdict.words}")
            verdict.demand_right(folder)
        return 0
    except (RunFailed, CannotStart, CallFailed) as error:
        return fail("load", error)
    except KeyboardInterrupt:
        fail("load", "stopped before the end")
        return _INTERRUPTED


def _locust(options: Options, folder: Path, *, workers: int, ui_port: int | None) -> None:
    """Run Locust to its end, with the signal for a stop passed on."""
    port = _free_port()
    command = [
        *(sys.executable, "-m", "locust", "--locustfile", str(_LOCUSTFILE)),
        *("--stop-timeout", str(_STOP_S), "--html", str(folder / "report.html")),
        *("--loglevel", "INFO", "--exit-code-on-error", "0"),
    ]
    if workers > 1:
        # The master listens for workers on loopback alone, and on a port of this run.
        command += ["--processes", str(workers), "--master-bind-host", "127.0.0.1"]
        command += ["--master-bind-port", str(port), "--master-port", str(port)]
    if ui_port is None:
        command += ["--headless", "--only-summary"]
        print(
            f"load: {options.shape} of up to {options.users} users for {options.seconds:g} s,"
            f" {workers} process(es), seed {options.seed}; log {folder / 'locust.log'}",
            flush=True,
        )
    else:
        command += ["--web-host", "127.0.0.1", "--web-port", str(ui_port)]
        print(f"load: http://127.0.0.1:{ui_port} (Ctrl-C ends it and checks the books)", flush=True)
    with (folder / "locust.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **options.environment()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C reaches this program alone, which stops Locust in order.
            start_new_session=True,
        )
        try:
            status = process.wait()
        except KeyboardInterrupt:
            status = _stop(process)
            if ui_port is None:
                raise
    if status != 0:
        raise RunFailed(f"Locust ended with status {status}; see {folder / 'locust.log'}")


def _stop(process: "subprocess.Popen[bytes]") -> int:
    """Ask the process group to end; kill it when it does not."""
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        return process.wait(2 * _STOP_S)
    os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def _print(verdict: Verdict, options: Options, started: str, seconds: float, folder: Path) -> None:
    text = (
        f"# Load run: {options.shape or 'by hand'}\n\n{started}. Up to {options.users} users, seed"
        f" {options.seed}.\n\n{report.whole(verdict.total, seconds)}\n"
    )
    (folder / "summary.md").write_text(text, encoding="utf-8")
    print(text)
    print(f"report: {folder / 'report.html'}")


def _check(verdict: Verdict, workers: int) -> None:
    if verdict.total.process_count != workers:
        raise RunFailed(
            f"{verdict.total.process_count} of {workers} processes left an account; the others died"
        )
    if not verdict.total.request_count:
        raise RunFailed("nothing was asked")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.load", description=__doc__)
    parser.add_argument("--users", type=int, default=40, help="the most there are (40)")
    parser.add_argument("--rate", type=float, default=5.0, help="users that come in a second (5)")
    parser.add_argument("--time", type=_duration, default=60.0, help="such as 90, 90s or 5m (60s)")
    parser.add_argument("--shape", choices=shapes.NAMES, help="how many at which moment (steady)")
    parser.add_argument("--workers", type=int, default=1, help="Locust processes (1)")
    parser.add_argument("--target", default="", help="a running gateway; without, one of our own")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    parser.add_argument("--ui", action="store_true", help="Locust's page instead of a fixed run")
    parser.add_argument("--port", type=int, default=8089, help="of the page (8089)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the reports (var/load)")
    return parser.parse_args(arguments)


def _duration(text: str) -> float:
    """Seconds of ``90``, ``90s``, ``5m`` or ``1h``; ``ValueError`` for anything else."""
    unit = {"s": 1, "m": 60, "h": 3600}.get(text[-1:], 0)
    return float(text[:-1]) * unit if unit else float(text)


if __name__ == "__main__":
    sys.exit(main())
