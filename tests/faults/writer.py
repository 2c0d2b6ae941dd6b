"""A platform under load, as a process of its own, that keeps every request and every answer.

``python -m tests.faults.writer --target HOST:PORT --journal FILE --name NAME --seed N --seller T``

It reads commands from standard input, one a line. ``run``: several threads issue single invoices,
batches and streams, reverse and void what was issued, void blank numbers, ask again for earlier ids,
draw and assign stock, until the gateway is gone. It says ``writing`` at its first answer, and at the end when each call began that got no answer, in seconds
of the machine's monotonic clock. End of input ends it. A request is in the journal before it is sent.
"""

import argparse
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO, TypeAlias

import grpc

from taxcontrol.admin.v1.stock_admin_service_pb2 import VoidBlankNumberRequest
from taxcontrol.v1 import invoice_pb2
from taxcontrol.v1.invoice_reversal_pb2 import ReverseInvoiceRequest, VoidInvoiceRequest
from taxcontrol.v1.invoice_service_pb2 import (
    BatchIssueInvoicesRequest,
    BatchIssueResult,
    IssueInvoiceRequest,
    IssueInvoicesRequest,
)
from taxcontrol.v1.stock_service_pb2 import GetStockRequest
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, ticket
from tests.e2e.wire import lost
from tests.fakes.gateway_process import CHANNEL_OPTIONS
from tests.faults import journal
from tests.faults.journal import Answer, Wish

Blue: TypeAlias = tuple[IssueInvoiceRequest, invoice_pb2.IssuedInvoice]

# 026 is reversed in full only, 082 in part too.
TYPES = ("026", "082")
POINTS = (0, 1, 2)
# Seldom issued at, so that its next number is still the next one when it is voided blank.
_QUIET_POINT = 2
_QUIET_SHARE = 0.05
# Reds and voids go for the same few invoices for a while, so that they get in each other's way:
# one blue in so many, the last few of them.
_CONTESTED_EVERY = 10
_CONTESTED_COUNT = 4
_RED_SHARE = 0.5
_THREADS = 4
_READY_S = 30.0
_DRAWN = 200
_ASSIGNED = 100
_REASON = "崩溃演练"
_NO_EFFECT = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)


class Writer:
    """Writes for one seller; ``run`` is called once per life of the gateway."""

    def __init__(self, *, target: str, journal: TextIO, name: str, seed: int, seller: str) -> None:
        self._target = target
        self._journal = journal
        self._lock = threading.Lock()
        self._name = name
        self._seed = seed
        self._seller = Seller(tax_number=seller, points=POINTS, types=TYPES)
        self._sent: dict[str, IssueInvoiceRequest] = {}
        self._names: set[str] = set()
        self._blues: deque[Blue] = deque(maxlen=_CONTESTED_COUNT)
        self._reds: deque[str] = deque(maxlen=_CONTESTED_COUNT)
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
            (44, self._single),
            (15, self._batch),
            (5, self._stream),
            (10, self._again),
            (5, self._reverse),
            (5, self._reverse_part),
            (7, self._void),
            (3, self._void_blank),
            (3, self._draw),
            (3, self._assign),
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
        self._ask(request, lambda: platform.issue(request))

    def _batch(self, platform: Platform, rng: random.Random) -> None:
        self._send(platform, [self._new(rng) for _ in range(rng.randint(2, 12))])

    def _again(self, platform: Platform, rng: random.Random) -> None:
        """Ask for earlier ids again: answered ones, and those whose answer was lost."""
        with self._lock:
            requests = rng.sample(list(self._sent.values()), min(5, len(self._sent)))
        if requests:
            self._send(platform, requests)

    def _send(self, platform: Platform, requests: list[IssueInvoiceRequest]) -> None:
        self._note(journal.asked(*requests))
        batch = BatchIssueInvoicesRequest(requests=requests)
        for result in platform.invoices.BatchIssueInvoices(batch).results:
            self._resulted(result)

    def _stream(self, platform: Platform, rng: random.Random) -> None:
        requests = [self._new(rng) for _ in range(rng.randint(5, 20))]
        self._note(journal.asked(*requests))
        messages = (IssueInvoicesRequest(request=request) for request in requests)
        for answer in platform.invoices.IssueInvoices(messages):
            self._resulted(answer.result)

    def _reverse(self, platform: Platform, rng: random.Random) -> None:
        with self._lock:
            _, blue = rng.choice(self._blues) if self._blues else (None, None)
        if blue is not None:
            request = ReverseInvoiceRequest(
                request_id=self._id("reverse", rng), name=blue.name, red_reason=_REASON
            )
            self._ask(request, lambda: platform.invoices.ReverseInvoice(request).issued)

    def _reverse_part(self, platform: Platform, rng: random.Random) -> None:
        """Issue a red of one line of a blue."""
        with self._lock:
            blues = [one for one in self._blues if one[1].type == "082"]
            asked, blue = rng.choice(blues) if blues else (None, None)
        if asked is not None and blue is not None:
            request = _red(asked, blue, self._id("red", rng))
            with self._lock:
                self._sent[request.request_id] = request
            self._ask(request, lambda: platform.issue(request))

    def _void(self, platform: Platform, rng: random.Random) -> None:
        """Void a blue or a red."""
        with self._lock:
            blues = [blue.name for _, blue in self._blues]
            names = list(self._reds) if rng.random() < _RED_SHARE else blues
            name = rng.choice(names) if names else ""
        if name:
            request = VoidInvoiceRequest(
                request_id=self._id("void", rng), name=name, reason=_REASON
            )
            self._ask(request, lambda: platform.invoices.VoidInvoice(request).void_statement)

    def _void_blank(self, platform: Platform, rng: random.Random) -> None:
        type_, point = rng.choice(TYPES), self._seller.point(_QUIET_POINT)
        [level] = platform.stock.GetStock(GetStockRequest(parent=point, type=type_)).levels
        request = VoidBlankNumberRequest(
            request_id=self._id("blank", rng),
            point=point,
            type=type_,
            code=level.next_code,
            number=level.next_number,
            reason=_REASON,
        )
        self._ask(request, lambda: platform.stock_admin.VoidBlankNumber(request).void_statement)

    def _draw(self, platform: Platform, rng: random.Random) -> None:
        platform.draw(self._seller, rng.choice(TYPES), _DRAWN, request_id=self._id("draw", rng))

    def _assign(self, platform: Platform, rng: random.Random) -> None:
        point = rng.choice(self._seller.points)
        request_id = self._id("assign", rng)
        platform.assign(self._seller, rng.choice(TYPES), _ASSIGNED, point, request_id=request_id)

    def _new(self, rng: random.Random) -> IssueInvoiceRequest:
        quiet = rng.random() < _QUIET_SHARE
        request = ticket(
            self._seller,
            self._id("issue", rng),
            point=_QUIET_POINT if quiet else rng.choice((0, 1)),
            type_=rng.choice(TYPES),
            net_fen=rng.randint(1, 5000) * 100,
            lines=rng.randint(1, 3),
        )
        with self._lock:
            self._sent[request.request_id] = request
        return request

    def _id(self, what: str, rng: random.Random) -> str:
        with self._lock:
            self._ordinal += 1
            return f"{self._name}-{what}-{self._ordinal}-{rng.randrange(10**6)}"

    def _ask(self, wish: Wish, call: Callable[[], Answer]) -> None:
        self._note(journal.asked(wish))
        try:
            answer = call()
        except grpc.RpcError as error:
            if error.code() in _NO_EFFECT:
                self._note(journal.refused(wish.request_id))
            raise
        self._heard(answer)

    def _resulted(self, result: BatchIssueResult) -> None:
        if result.HasField("issued"):
            self._heard(result.issued)
        elif result.failure.code in {code.value[0] for code in _NO_EFFECT}:
            self._note(journal.refused(result.request_id))

    def _heard(self, answer: Answer) -> None:
        self._note(journal.answered(answer))
        with self._lock:
            self._answered += 1
            if self._answered == 1:
                say("writing")
            if isinstance(answer, invoice_pb2.IssuedInvoice) and answer.name not in self._names:
                self._names.add(answer.name)
                self._learn(answer)

    def _learn(self, issued: invoice_pb2.IssuedInvoice) -> None:
        request = self._sent.get(issued.request_id)
        if request is None or request.kind == invoice_pb2.INVOICE_KIND_RED:
            self._reds.append(issued.name)
        elif len(self._names) % _CONTESTED_EVERY == 0:
            self._blues.append((request, issued))

    def _note(self, lines: str) -> None:
        with self._lock:
            self._journal.write(lines)
            self._journal.flush()


def _red(
    blue: IssueInvoiceRequest, issued: invoice_pb2.IssuedInvoice, request_id: str
) -> IssueInvoiceRequest:
    """The red of the first line of a blue."""
    red = IssueInvoiceRequest()
    red.CopyFrom(blue)
    del red.lines[1:]
    [line] = red.lines
    line.amount_fen, line.tax_fen = -line.amount_fen, -line.tax_fen
    red.request_id, red.kind = request_id, invoice_pb2.INVOICE_KIND_RED
    red.original.code, red.original.number = issued.code, issued.number
    red.net_fen, red.tax_fen = line.amount_fen, line.tax_fen
    red.gross_fen = red.net_fen + red.tax_fen
    return red


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
    with given.journal.open("a") as notes:
        writer = Writer(
            target=given.target,
            journal=notes,
            name=given.name,
            seed=given.seed,
            seller=given.seller,
        )
        for _ in sys.stdin:
            say(writer.run())


if __name__ == "__main__":
    main()
