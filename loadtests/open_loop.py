"""``make load-open``: calls at a fixed rate, whatever the answers do; latency from when each was due.

Locust's users wait for their answer before they ask again, so a slow server slows down its own load
and its report looks better than its callers fared. Here they come by themselves (see ``arrivals``).
Each call is tried once. The same checks and the same books as ``make load``.

With ``--rates 500,1000,2000`` one run after the other on the same gateway, a row each.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random, SystemRandom
from typing import TYPE_CHECKING, Final, cast

import grpc
import uvloop

from loadtests import checks, report
from loadtests.account import Account
from loadtests.arrivals import CONSTANT, POISSON, OpenLoop, Tally, due, rates
from loadtests.papers import Papers
from loadtests.run import FOLDER, RunFailed, fail, judge, machine, new_folder, prepared
from loadtests.world import by_role, certificates
from sandbox.process import CannotStart
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from taxctl.connection import connect
from taxctl.failure import CallFailed, from_call, reason_name

if TYPE_CHECKING:  # the generated code has this class in its types only
    from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceAsyncStub

_TIMEOUT_S: Final = 15.0
_GRACE_S: Final = 2.0
_SAMPLE: Final = 50
_WARM_S: Final = 1.0
_OPERATION: Final = "invoice"
_OPTIONS: Final = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
_INTERRUPTED: Final = 130


class Caller:
    """Makes the calls of one run and checks the answers."""

    def __init__(
        self,
        stub: "InvoiceServiceAsyncStub",
        papers: Papers,
        account: Account,
        keys: dict[tuple[str, str], bytes],
        random: Random,
    ) -> None:
        self._stub = stub
        self._papers = papers
        self._account = account
        self._keys = keys
        self._random = random

    async def issue(self, number: int) -> None:
        """Issue one invoice; raise ``AioRpcError`` when there is none."""
        request = self._papers.draw(self._random)
        try:
            answer = await self._stub.IssueInvoice(request, timeout=_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            # What a stub raises has all that is read here; the types do not say so.
            failure = from_call(cast("grpc.Call", error))
            self._account.failed(_OPERATION, reason_name(failure))
            raise
        issued = answer.issued
        self._account.total.done[_OPERATION] += 1
        self._account.number(issued.name, issued.request_id)
        self._account.wrong(_OPERATION, issued.name, checks.issued_faults(request, issued))
        if not number % _SAMPLE:
            self._account.verified()
            certificate = self._keys.get((issued.machine_number, issued.key_id))
            faults = (
                [f"no device {issued.machine_number} has the key {issued.key_id}"]
                if certificate is None
                else checks.signature_faults(checks.INVOICE, issued, certificate)
            )
            self._account.wrong(_OPERATION, issued.name, faults)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and answer the exit status."""
    asked = _arguments(arguments)
    started = machine()
    folder = new_folder(asked.folder, "open-loop")
    try:
        with prepared(asked.target, folder) as target:
            account = Account(folder, f"process-{os.getpid()}")
            print(f"open loop: {asked.arrivals} arrivals, seed {asked.seed}", flush=True)
            try:
                tallies = uvloop.run(_run(target, account, asked))
            finally:
                account.close()
            verdict = judge(target, folder)
            text = _text(tallies, asked, started) + "\n\n" + report.reason_table(verdict.total)
            (folder / "summary.md").write_text(text + "\n", encoding="utf-8")
            print(f"\n{text}\n")
            print(f"open-loop: {_line(tallies[-1][0], tallies[-1][1])} {verdict.words}")
            verdict.demand_right(folder)
        return 0
    except (RunFailed, CannotStart, CallFailed) as error:
        return fail("open-loop", error)
    except KeyboardInterrupt:
        fail("open-loop", "stopped before the end")
        return _INTERRUPTED


async def _run(
    target: str, account: Account, asked: argparse.Namespace
) -> list[tuple[float, Tally]]:
    connection = connect(target, operator="loadtest")
    with connection.channel:
        places = by_role(connection)
        keys = certificates(connection)
    random = Random(asked.seed)
    papers = Papers([place for role in places.values() for place in role])
    found = []
    async with grpc.aio.insecure_channel(target, options=_OPTIONS) as channel:
        caller = Caller(InvoiceServiceStub(channel), papers, account, keys, random)
        # A first connection and cold caches are not what is measured.
        await _loop(caller, asked).run(
            due(50, _WARM_S, kind=CONSTANT, random=random), seconds=_WARM_S
        )
        for rate in asked.rates or [asked.rate]:
            print(f"  {rate:g}/s for {asked.seconds:g} s", flush=True)
            times = due(rate, asked.seconds, kind=asked.arrivals, random=random)
            tally = await _loop(caller, asked).run(times, seconds=asked.seconds)
            found.append((rate, tally))
    return found


def _loop(caller: Caller, asked: argparse.Namespace) -> OpenLoop:
    return OpenLoop(
        caller.issue,
        outstanding_max=asked.outstanding,
        grace_s=_GRACE_S,
        failures=grpc.aio.AioRpcError,
    )


def _text(tallies: Sequence[tuple[float, Tally]], asked: argparse.Namespace, started: str) -> str:
    head = (
        f"{started}. {asked.arrivals} arrivals, {asked.seconds:g} s each, at most {asked.outstanding}"
        f" outstanding, seed {asked.seed}; latency from when a call was due."
    )
    rows = [
        head,
        "",
        "| rate/s | due | answered | failed | late | unsent | p50 ms | p90 ms | p99 ms | p99.9 ms | max ms |",
        "|---:|" + "---:|" * 10,
    ]
    for rate, one in tallies:
        counts = (one.due, one.answered, one.failed, one.late, one.unsent)
        cells = " | ".join(f"{count:,}" for count in counts)
        rows.append(f"| {rate:g} | {cells} | {report.figures(one.latencies)} |")
    return "\n".join(rows)


def _line(rate: float, tally: Tally) -> str:
    p50, p99 = (tally.latencies.get_value_at_percentile(one) / 1000 for one in (50, 99))
    return (
        f"rate={rate:g} due={tally.due} late={tally.late} unsent={tally.unsent}"
        f" p50_ms={p50:.1f} p99_ms={p99:.1f}"
    )


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.open_loop", description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0, help="calls a second (200)")
    parser.add_argument("--rates", type=rates, help="several, one run after the other: 500,1000")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each rate (20)")
    parser.add_argument("--arrivals", choices=(POISSON, CONSTANT), default=POISSON)
    parser.add_argument(
        "--outstanding", type=int, default=512, help="calls under way at once (512)"
    )
    parser.add_argument("--target", default="", help="a running gateway; without, one of our own")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the reports (var/load)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
