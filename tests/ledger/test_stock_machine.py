"""Random walks of stock between pool, points and authority, beside a model that is only lists.

After every step the ledger has put each number where the model has it, and at the end the books
balance: nothing is in two places, nothing is nowhere (I2).
"""

import asyncio
import tempfile
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from invoice.errors import StockExhausted
from ledger.records import ReturnRecord, SegmentRecord
from ledger.sqlite import SqliteLedger
from tests.ledger import building
from tests.ledger.building import ACT, NOW, TAX_NUMBER, TENANT, TYPE

T = TypeVar("T")

POINTS = (0, 1)
# Grants lie apart, and later ones below earlier ones: age and number do not go together.
_FIRST, _APART = 90_000, 100
points = st.sampled_from(POINTS)


class StockMachine(RuleBasedStateMachine):
    """One taxpayer, two points."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._loop = asyncio.new_event_loop()
        self._worker_count = 0
        self._pool: list[tuple[int, int]] = []  # (age of the grant, number)
        self._ages: dict[int, int] = {}
        self._points: dict[int, dict[int, list[int]]] = {point: {} for point in POINTS}
        self._returning: list[tuple[ReturnRecord, int | None, list[int]]] = []
        self._issued: list[int] = []
        self._returned: list[int] = []
        self._start()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def _start(self) -> None:
        self._worker_count += 1
        path = Path(self._folder.name) / "ledger.db"
        self._ledger = SqliteLedger(path, verify=building.verify)
        self._run(self._ledger.start(f"worker-{self._worker_count}", NOW))

    @initialize()
    def register(self) -> None:
        """Register the taxpayer."""
        self._run(building.register(self._ledger))

    @precondition(lambda self: len(self._ages) < 400)
    @rule(count=st.integers(1, 12))
    def draw(self, count: int) -> None:
        """A grant falls into the pool."""
        age = len(set(self._ages.values()))
        first = _FIRST - age * _APART
        self._run(building.draw(self._ledger, count, first))
        for number in range(first, first + count):
            self._ages[number] = age
            self._pool.append((age, number))

    @rule(count=st.integers(1, 15), point=points)
    def assign(self, count: int, point: int) -> None:
        """The pool's oldest and lowest go, or nothing does."""
        try:
            made = self._run(building.assign(self._ledger, count, point))
        except StockExhausted:
            assert count > len(self._pool)
            return
        assert _numbers(made) == [number for _, number in self._pool[:count]]
        del self._pool[:count]
        for part in made:
            self._points[point][part.segment_id] = _numbers([part])

    @rule(count=st.integers(1, 15), point=points)
    def recall(self, count: int, point: int) -> None:
        """The newest and highest come back, or nothing does."""
        held = self._points[point]
        descending = [
            (at, number) for at in sorted(held, reverse=True) for number in held[at][::-1]
        ]
        work = self._ledger.recall(
            tax_number=TAX_NUMBER,
            point=point,
            type=TYPE,
            count=count,
            binding=building.binding("recall"),
            act=ACT,
        )
        try:
            made, _ = self._run(work)
        except StockExhausted:
            assert count > len(descending)
            return
        assert sorted(_numbers(made)) == sorted(number for _, number in descending[:count])
        for at, number in descending[:count]:
            held[at].remove(number)
            self._pool.append((self._ages[number], number))
        self._pool.sort()

    @rule(count=st.integers(1, 6), point=points)
    def issue(self, count: int, point: int) -> None:
        """The oldest and lowest of a point are issued."""
        held = self._points[point]
        queue = [number for at in sorted(held) for number in held[at]][:count]
        drafts = [building.a_reservation(f"r-{number}", point=point) for number in queue]
        if not drafts:
            return
        entries = self._run(building.reserve(self._ledger, *drafts))
        assert [int(entry.number) for entry in entries] == queue
        self._run(building.commit(self._ledger, [building.signed(entry) for entry in entries]))
        for numbers in held.values():
            numbers[:] = [number for number in numbers if number not in queue]
        self._issued += queue

    @rule(data=st.data(), count=st.integers(1, 8))
    def give_back(self, data: st.DataObject, count: int) -> None:
        """The highest of one segment are set aside, or nothing is."""
        segments = self._run(self._ledger.segments(TENANT, TAX_NUMBER, count_max=1000))
        if not segments:
            return
        segment = data.draw(st.sampled_from(segments))
        bound = building.binding("return")
        work = self._ledger.request_return(
            tax_number=TAX_NUMBER,
            segment_id=segment.segment_id,
            count=count,
            authority_request_id=f"authority-{bound.request_id}",
            binding=bound,
            act=ACT,
        )
        try:
            record, _ = self._run(work)
        except StockExhausted:
            assert count > segment.available_count
            return
        numbers = _numbers([segment])[-count:]
        assert record.segment is not None
        assert list(range(record.segment.first, record.segment.first + count)) == numbers
        if segment.point is None:
            self._pool = [held for held in self._pool if held[1] not in numbers]
        else:
            held = self._points[segment.point][segment.segment_id]
            held[:] = [number for number in held if number not in numbers]
        self._returning.append((record, segment.point, numbers))

    @precondition(lambda self: self._returning)
    @rule(data=st.data(), taken=st.booleans())
    def answer(self, data: st.DataObject, *, taken: bool) -> None:
        """The authority takes the numbers, or they are where they were."""
        at = data.draw(st.integers(0, len(self._returning) - 1))
        record, point, numbers = self._returning.pop(at)
        assert record.segment is not None
        if taken:
            self._run(self._ledger.store_return(TENANT, record.request_id, f"RT{at}", now=NOW))
            self._returned += numbers
            return
        self._run(self._ledger.refuse_return(TENANT, record.request_id, "NUMBER_USED", now=NOW))
        if point is None:
            self._pool = sorted([*self._pool, *((self._ages[one], one) for one in numbers)])
        else:
            self._points[point][record.segment.segment_id] = numbers

    @rule()
    def restart(self) -> None:
        """The gateway stops and starts; what was asked for is found again."""
        self._run(self._ledger.close())
        self._start()
        opened = self._run(self._ledger.open_returns(count_max=1000))
        assert {one.request_id for one in opened} == {
            record.request_id for record, _, _ in self._returning
        }

    @invariant()
    def every_number_is_where_the_model_has_it(self) -> None:
        """Compare levels and places."""
        segments = self._run(self._ledger.segments(TENANT, TAX_NUMBER, count_max=1000))
        for point in POINTS:
            left = [number for held in self._points[point].values() for number in held]
            assert sorted(_numbers(one for one in segments if one.point == point)) == sorted(left)
        pool = _numbers(one for one in segments if one.point is None)
        assert sorted(pool) == sorted(number for _, number in self._pool)
        returning_count = sum(len(numbers) for _, _, numbers in self._returning)
        assert sum(one.returning_count for one in segments) == returning_count
        assert sum(one.returned_count for one in segments) == len(self._returned)

    def teardown(self) -> None:
        """Check the books of the whole walk."""
        try:
            *_, last = self._ledger.check_books()
            assert last.balanced
        finally:
            self._run(self._ledger.close())
            self._loop.close()
            self._folder.cleanup()


def _numbers(segments: Iterable[SegmentRecord]) -> list[int]:
    """What is available of segments, in their order."""
    return [
        number for one in segments for number in range(one.next, one.next + one.available_count)
    ]


TestStock = StockMachine.TestCase
TestStock.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
