"""Random walks over the real ledger beside a small model: custody (I2) and replay (I3).

The model knows, for each point, the queue of numbers it was given; for each id, the number it
got; and nothing about SQL. After every step both agree, and at the end the books balance.
"""

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from invoice.errors import LedgerUnavailable, RequestIdReused, StockExhausted
from invoice.lifecycle import InvoiceState
from ledger.records import Entry, Reserved
from ledger.sqlite import SqliteLedger
from tests.ledger import building
from tests.ledger.building import NOW, TAX_NUMBER, TENANT, a_reservation
from tests.ledger.faults import Faults, When

T = TypeVar("T")

POINTS = (0, 1)
ids = st.integers(0, 25)
points = st.sampled_from(POINTS)
amounts = st.sampled_from([100, 200])


class CustodyMachine(RuleBasedStateMachine):
    """One taxpayer, two points, a few ids used again and again, faults and restarts."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._loop = asyncio.new_event_loop()
        self._faults = Faults()
        self._worker_count = 0
        self._granted_to = 0
        self._pool: list[int] = []
        self._queues: dict[int, list[int]] = {point: [] for point in POINTS}
        self._numbers: dict[str, tuple[int, int, int]] = {}
        self._signed: dict[str, bytes] = {}
        self._uploaded_count = 0
        self._submission_count = 0
        self._start()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def _start(self) -> None:
        self._worker_count += 1
        self._ledger = SqliteLedger(
            Path(self._folder.name) / "ledger.db",
            verify=building.verify,
            connect=self._faults.connect,
        )
        self._run(self._ledger.start(f"worker-{self._worker_count}", NOW))

    @initialize()
    def register(self) -> None:
        """Register the taxpayer."""
        self._run(building.register(self._ledger))

    @rule(count=st.integers(1, 12))
    def draw(self, count: int) -> None:
        """Put the next numbers into the pool."""
        first = self._granted_to + 1
        self._run(building.draw(self._ledger, count, first))
        self._granted_to += count
        self._pool += range(first, first + count)

    @rule(count=st.integers(1, 15), point=points)
    def assign(self, count: int, point: int) -> None:
        """The lowest numbers of the pool move, or nothing does."""
        try:
            made = self._run(building.assign(self._ledger, count, point))
        except StockExhausted:
            assert count > len(self._pool)
            return
        moved = [number for part in made for number in range(part.first, part.first + part.count)]
        assert moved == self._pool[:count]
        self._queues[point] += moved
        self._pool = self._pool[count:]

    @rule(group=st.lists(st.tuples(ids, points, amounts), min_size=1, max_size=9))
    def reserve(self, group: list[tuple[int, int, int]]) -> None:
        """Each item gets what the model says: a number, its old one, or a named refusal."""
        drafts = [
            a_reservation(f"r-{number}", net_fen, point=point) for number, point, net_fen in group
        ]
        result = self._run(building.commit(self._ledger, (), drafts))

        # An id that comes twice is looked at again after all the others.
        turns: defaultdict[int, int] = defaultdict(int)
        order = []
        for at, (number, _, _) in enumerate(group):
            order.append((turns[number], at))
            turns[number] += 1
        for _, at in sorted(order):
            self._compare(group[at], result.reserved[at])

    def _compare(self, item: tuple[int, int, int], reserved: Reserved) -> None:
        number, point, net_fen = item
        request_id = f"r-{number}"
        bound = self._numbers.get(request_id)
        if bound is not None and bound[1:] == (point, net_fen):
            assert reserved.replayed
            assert reserved.entry is not None
            assert int(reserved.entry.number) == bound[0]
            assert reserved.entry.signature == self._signed.get(request_id)
        elif bound is not None:
            assert isinstance(reserved.error, RequestIdReused)
        elif not self._queues[point]:
            assert isinstance(reserved.error, StockExhausted)
        else:
            assert reserved.entry is not None
            assert not reserved.replayed
            assert int(reserved.entry.number) == self._queues[point].pop(0)
            self._numbers[request_id] = int(reserved.entry.number), point, net_fen

    @rule(count=st.integers(1, 5), twice=st.booleans())
    def settle(self, count: int, *, twice: bool) -> None:
        """Sign what waits; settling it twice changes nothing."""
        entries = self._orphans()[:count]
        settlements = [building.signed(entry) for entry in entries] * (1 + twice)
        result = self._run(building.commit(self._ledger, settlements))
        for settled in result.settled:
            assert settled.signature is not None
            self._signed.setdefault(settled.request_id, settled.signature)
            assert self._signed[settled.request_id] == settled.signature

    @rule(count=st.integers(1, 6))
    def upload(self, count: int) -> None:
        """Every issued invoice is sent once."""
        self._submission_count += 1
        done = self._run(
            building.upload(self._ledger, f"s-{self._submission_count}", count_max=count)
        )
        assert done == min(count, len(self._signed) - self._uploaded_count)
        self._uploaded_count += done

    @precondition(lambda self: any(self._queues.values()))
    @rule(when=st.sampled_from(["before", "after"]), point=points)
    def reserve_and_lose_the_answer(self, when: When, point: int) -> None:
        """A commit fails, before or after it took effect; asking by id tells which."""
        number = 100 + len(self._numbers)
        draft = a_reservation(f"r-{number}", 100, point=point)
        self._faults.arm("COMMIT", when)
        try:
            self._run(building.commit(self._ledger, (), [draft]))
        except LedgerUnavailable:
            pass
        else:
            raise AssertionError("a failed commit was answered")

        found = self._run(self._ledger.find_request(TENANT, f"r-{number}"))
        assert (found is not None) == (when == "after" and bool(self._queues[point]))
        if found is not None:
            assert int(found.number) == self._queues[point].pop(0)
            self._numbers[f"r-{number}"] = int(found.number), point, 100

    @rule()
    def restart(self) -> None:
        """Close and open again: nothing is forgotten."""
        self._run(self._ledger.close())
        self._start()

    @invariant()
    def shelves_hold_what_the_model_says(self) -> None:
        """What is left is what the model has left."""
        left: defaultdict[int | None, int] = defaultdict(int)
        for level in self._run(self._ledger.stock(TENANT, TAX_NUMBER)):
            left[level.point] += level.available_count
        assert left[None] == len(self._pool)
        assert all(left[point] == len(queue) for point, queue in self._queues.items())

    @invariant()
    def every_taken_number_is_signed_or_waits(self) -> None:
        """No number is lost, none is taken twice."""
        waiting = {entry.request_id for entry in self._orphans()}
        assert waiting == self._numbers.keys() - self._signed.keys()
        taken = [number for number, _, _ in self._numbers.values()]
        assert len(taken) == len(set(taken))
        on_shelves = len(self._pool) + sum(map(len, self._queues.values()))
        assert len(taken) + on_shelves == self._granted_to

    def teardown(self) -> None:
        words = list(self._ledger.check_books())
        self._run(self._ledger.close())
        self._loop.close()
        self._folder.cleanup()
        assert [finding for word in words for finding in word.findings] == []

    def _orphans(self) -> list[Entry]:
        found = self._run(
            self._ledger.orphans(worker=building.WORKER, now=NOW + 60, count_max=1_000)
        )
        assert all(entry.state is InvoiceState.RESERVED for entry in found)
        return found


CustodyMachine.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=40,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
test_custody_and_replay_hold = CustodyMachine.TestCase
