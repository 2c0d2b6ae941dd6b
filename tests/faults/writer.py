"""A platform under load, as a process of its own, that keeps every request and every answer.

``python -m tests.faults.writer --target HOST:PORT --journal FILE --name NAME --seed N --seller T``

It reads commands from standard input, one a line. ``run``: several threads issue single invoices
and batches, ask again for earlier ids, draw and assign stock, until the gateway is gone. It says
``writing`` at its first answer, and at the end when each call began that got no answer, in seconds
of the machine's monotonic clock. End of input ends it. A request is in the journal before it is sent.
"""

import argparse
import random
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

import grpc

from taxcontrol.v1 import invoice_pb2
from taxcontrol.v1.invoice_service_pb2 import BatchIssueInvoicesRequest, IssueInvoiceRequest
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, ticket
from tests.e2e.wire import lost
from tests.fakes.gateway_process import CHANNEL_OPTIONS
from tests.faults import books

_THREADS = 4
_READY_S = 30.0
_DRAWN = 200
_ASSIGNED = 100


class Writer:
    """Writes for one seller; ``run`` is called once per life of the gateway."""

    def __init__(self, *, target: str, journal: TextIO, name: str, seed: int, seller: str) -> None:
        self._target = target
        self._journal = journal
        self._lock = threading.Lock()
        self._name = name
        self._seed = seed
        self._seller = Seller(tax_number=seller, points=(0, 1))
        self._sent: list[IssueInvoiceRequest] = []
        self._ordinal = 0
        self._runs = 0
        self._lost: list[float] = []
        self._answered = 0

    def run(self) -> str:
        """Load the gateway until it is gone."""
        self._runs += 1
        self._lost, self._answered = [], 0
        with grpc.insecure_channel(self._target, options=CHANNEL_OPTIONS) as channel:
            grpc.channel_ready_future(channel).result(_READY_S)
            platform = Platform(channel)
            with ThreadPoolExecutor(_THREADS) as pool:
                threads = [pool.submit(self._write, platform, one) for one in range(_THREADS)]
            for thread in threads:
                thread.result()
        return " ".join(map(str, self._lost))

    def _write(self, platform: Platform, thread: int) -> None:
        rng = random.Random(f"{self._seed} {self._name} {self._runs} {thread}")
        acts: list[tuple[int, Callable[[Platform, random.Random], None]]] = [
            (60, self._single),
            (20, self._batch),
            (12, self._again),
            (4, self._draw),
            (4, self._assign),
        ]
        weights, choices = [weight for weight, _ in acts], [act for _, act in acts]
        while True:
            [act] = rng.choices(choices, weights)
            began = time.monotonic()
            try:
                act(platform, rng)
            except grpc.RpcError as error:
                if lost(error):
                    with self._lock:
                        self._lost.append(began)
                    return
                # A refusal by name (no stock, say) is an answer.

    def _single(self, platform: Platform, rng: random.Random) -> None:
        request = self._new(rng)
        self._note(books.asked(request))
        self._heard(platform.issue(request))

    def _batch(self, platform: Platform, rng: random.Random) -> None:
        requests = [self._new(rng) for _ in range(rng.randint(2, 12))]
        self._note("".join(map(books.asked, requests)))
        self._send(platform, requests)

    def _again(self, platform: Platform, rng: random.Random) -> None:
        """Ask for earlier ids again: answered ones, and those whose answer was lost."""
        with self._lock:
            requests = rng.sample(self._sent, min(5, len(self._sent)))
        if requests:
            self._send(platform, requests)

    def _send(self, platform: Platform, requests: list[IssueInvoiceRequest]) -> None:
        batch = BatchIssueInvoicesRequest(requests=requests)
        for result in platform.invoices.BatchIssueInvoices(batch).results:
            if result.HasField("issued"):
                self._heard(result.issued)

    def _draw(self, platform: Platform, rng: random.Random) -> None:
        platform.draw(self._seller, "026", _DRAWN, request_id=self._id("draw", rng))

    def _assign(self, platform: Platform, rng: random.Random) -> None:
        point = rng.choice(self._seller.points)
        request_id = self._id("assign", rng)
        platform.assign(self._seller, "026", _ASSIGNED, point, request_id=request_id)

    def _new(self, rng: random.Random) -> IssueInvoiceRequest:
        request = ticket(
            self._seller,
            self._id("issue", rng),
            point=rng.choice(self._seller.points),
            net_fen=rng.randint(1, 5000) * 100,
            lines=rng.randint(1, 3),
        )
        with self._lock:
            self._sent.append(request)
        return request

    def _id(self, what: str, rng: random.Random) -> str:
        with self._lock:
            self._ordinal += 1
            return f"{self._name}-{what}-{self._ordinal}-{rng.randrange(10**6)}"

    def _heard(self, issued: invoice_pb2.IssuedInvoice) -> None:
        self._note(books.answered(issued))
        with self._lock:
            self._answered += 1
            if self._answered == 1:
                say("writing")

    def _note(self, lines: str) -> None:
        with self._lock:
            self._journal.write(lines)
            self._journal.flush()


def say(line: str) -> None:
    """Tell the campaign."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Obey standard input."""
    parser = argparse.ArgumentParser()
    for name in ("--target", "--name", "--seller"):
        parser.add_argument(name, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    given = parser.parse_args()
    with given.journal.open("a") as journal:
        writer = Writer(
            target=given.target,
            journal=journal,
            name=given.name,
            seed=given.seed,
            seller=given.seller,
        )
        for _ in sys.stdin:
            say(writer.run())


if __name__ == "__main__":
    main()
