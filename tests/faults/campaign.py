"""The crash campaign: a gateway killed under load, again and again, and its promises checked.

``python -m tests.faults.campaign --cycles 25 --seed N``; the last line is the result, the exit
status 0 when nothing was found.

A cycle: writers in other processes load the gateway; it is killed at a random moment, and must
have died of it with calls in flight; in one cycle of five it is killed again on its way up; then
it starts, and the audit asks what became of every id. At the end the uploads drain, and the
authority's own record is compared. Everything random comes from the seed.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess
from tests.faults.audit import Audit
from tests.faults.books import Tally
from tests.faults.writer import POINTS, TYPES

ROOT = Path(__file__).resolve().parents[2]
WINDOWS = ((50, 1000),)
# How long the gateway is under load before it dies, and how far it gets on its way up: from its
# first imports to the moment, 3 s after the last heartbeat, when it finishes what is left behind.
LOAD_S = (0.15, 0.6)
START_S = (0.3, 3.2)
RECOVERY_EVERY = 5
STOCK = 1000
WRITERS = 2


@dataclass(slots=True)
class Outcome:
    """What a campaign did and found.

    ``acked`` are the invoices, reds among them; ``in_flight`` are the calls without an answer at each
    kill; ``recovered`` is how many invoices and voids were there although their answer was lost.
    """

    cycles: int
    seed: int
    kills: int = 0
    acked: int = 0
    recovered: int = 0
    reds: int = 0
    voids: int = 0
    blank_voids: int = 0
    in_flight: list[int] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    @property
    def line(self) -> str:
        """The result in one line."""
        tally = self.tally
        return (
            f"crash: cycles={self.cycles} kills={self.kills} acked={self.acked} lost={tally.lost}"
            f" duplicated={tally.duplicated} gaps={tally.gaps} unsigned={tally.unsigned}"
            f" diverged={tally.diverged} reds={self.reds} voids={self.voids}"
            f" blank_voids={self.blank_voids} seed={self.seed}"
        )


class WriterProcess:
    """One writer; see ``writer.py``."""

    def __init__(self, folder: Path, *, target: str, name: str, seed: int, seller: Seller) -> None:
        self.journal = folder / f"{name}.jsonl"
        self.journal.touch()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.faults.writer"),
                *("--target", target, "--journal", str(self.journal)),
                *("--name", name, "--seed", str(seed), "--seller", seller.tax_number),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def run(self) -> None:
        """Let it write until the gateway is gone; return once it has a first answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("run\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line == "writing\n", f"the writer said {line!r}"

    def ended(self) -> list[float]:
        """Wait until it has noticed; when each call began that got no answer."""
        assert self._process.stdout is not None
        return [float(began) for began in self._process.stdout.readline().split()]


class Campaign:
    """One campaign over one ledger and one authority, whose state accumulates over the cycles."""

    def __init__(
        self,
        *,
        gateway: GatewayProcess,
        simulator: SimulatorProcess,
        sellers: list[Seller],
        writers: list[WriterProcess],
        outcome: Outcome,
    ) -> None:
        self._gateway = gateway
        self._simulator = simulator
        self._writers = writers
        self._outcome = outcome
        self._audit = Audit(sellers, outcome.tally)
        self._rng = random.Random(outcome.seed)

    def run(self) -> None:
        """Run all cycles and the last audit."""
        for cycle in range(1, self._outcome.cycles + 1):
            self._crash()
            if cycle % RECOVERY_EVERY == 0:
                self._crash_on_the_way_up()
            self._gateway.start()
            self._audit.after_restart(Platform(self._gateway.channel), self._take_up(), cycle)
        self._audit.at_the_end(Platform(self._gateway.channel), self._simulator)
        self._audit.check_windows(self._simulator, WINDOWS)
        self._count()

    def _crash(self) -> None:
        for writer in self._writers:
            writer.run()
        killed_at = self._kill_after(self._rng.uniform(*LOAD_S))
        with ThreadPoolExecutor(len(self._writers)) as pool:
            lost = list(pool.map(WriterProcess.ended, self._writers))
        # A thread between two calls loses one, too, but that one was never under way.
        in_flight = sum(began < killed_at for one in lost for began in one)
        # A kill that hit nobody proves nothing.
        assert in_flight > 0, "no call was in flight when the gateway died"
        self._outcome.in_flight.append(in_flight)

    def _crash_on_the_way_up(self) -> None:
        self._gateway.launch()
        self._kill_after(self._rng.uniform(*START_S))

    def _kill_after(self, delay_s: float) -> float:
        """Kill the gateway, and show that it died of it; when, by the monotonic clock."""
        try:
            status = self._gateway.wait(delay_s)
        except subprocess.TimeoutExpired:
            killed_at = time.monotonic()
            self._gateway.kill()
            self._outcome.kills += 1
            return killed_at
        else:
            raise AssertionError(f"the gateway ended by itself: {status}")

    def _count(self) -> None:
        audit, outcome = self._audit, self._outcome
        outcome.acked, outcome.recovered = len(audit.journal.invoices), audit.recovered
        outcome.reds = audit.red_count
        outcome.voids, outcome.blank_voids = len(audit.voids), len(audit.blank_voids)

    def _take_up(self) -> set[str]:
        """Read what the writers have noted; the ids that were answered meanwhile."""
        fresh: set[str] = set()
        for writer in self._writers:
            fresh |= self._audit.journal.take_up(writer.journal, self._outcome.tally)
        return fresh


def run(cycles: int, seed: int, folder: Path, *, module: str = "gateway") -> Outcome:
    """Run a campaign in ``folder``; ``module`` is the gateway program to be judged."""
    outcome = Outcome(cycles=cycles, seed=seed)
    with _campaign(folder, outcome, module) as campaign:
        campaign.run()
    return outcome


@contextmanager
def _campaign(folder: Path, outcome: Outcome, module: str) -> Iterator[Campaign]:
    windows = ",".join(f"{calls}/{period_ms}ms" for calls, period_ms in WINDOWS)
    with ExitStack() as stack:
        simulator = SimulatorProcess(folder / "simulator", arguments=["--windows", windows])
        stack.enter_context(simulator)
        gateway = stack.enter_context(
            GatewayProcess(
                folder / "gateway", authority=simulator.target, level="warning", module=module
            )
        )
        platform = Platform(gateway.channel)
        sellers = [platform.new_seller(*TYPES, stock=STOCK, points=POINTS) for _ in range(WRITERS)]
        writers = [
            stack.enter_context(
                WriterProcess(
                    folder,
                    target=gateway.target,
                    name=f"writer{ordinal}",
                    seed=outcome.seed,
                    seller=seller,
                )
            )
            for ordinal, seller in enumerate(sellers)
        ]
        yield Campaign(
            gateway=gateway,
            simulator=simulator,
            sellers=sellers,
            writers=writers,
            outcome=outcome,
        )


def main() -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign", description=__doc__)
    parser.add_argument("--cycles", type=int, default=25)
    parser.add_argument("--seed", type=int, default=None, help="default: from the clock")
    given = parser.parse_args()
    seed = time.time_ns() % 10**9 if given.seed is None else given.seed
    sys.stdout.write(f"seed={seed}\n")
    with tempfile.TemporaryDirectory(prefix="crash-") as folder:
        outcome = run(given.cycles, seed, Path(folder))
    sys.stdout.write("".join(f"{note}\n" for note in outcome.tally.notes[:50]))
    sys.stdout.write(f"{outcome.line}\n")
    return 0 if outcome.tally.clean else 1


if __name__ == "__main__":
    sys.exit(main())
