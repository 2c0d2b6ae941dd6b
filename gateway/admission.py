"""How much work is let in at once: calls are refused beyond it, streams wait.

Of calls and of a stream's items those of priority BULK go last: they get the first three quarters of
the room only, and the rest is left to people who wait.

Work counts from its check until it is settled, not only until it has a number: a number that is
taken must be signed, so none is taken that the device would not get to in time.

The room is what can be done within the longest wait, as measured lately: a queue of seconds helps
nobody, and callers who are told at once come back when there is room. See docs/decisions/0017.
"""

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from gateway.lanes import SHORT_LINE_COUNT_MAX
from gateway.throughput import Throughput
from invoice.errors import Overloaded

# What calls may have in their checks beyond short invoices: a hundred of the longest, two of the
# largest batches, about four seconds of work.
LONG_LINE_COUNT_MAX = 200_000
# However slow it goes, so many are let in: a batch is admitted whole, and a quiet gateway takes a burst.
ROOM_COUNT_MIN: Final = 512
_RETRY_S_MIN: Final = 0.2
_RETRY_S_MAX: Final = 5.0
Turn = asyncio.Future[None]


class Admission:
    """Counts what is let in. ``in_work`` tells how much of it has been handed over.

    At most ``count_max``, and at most what ``throughput`` does within ``wait_s_max``.

    Streams have flow control, so their items wait in the order of asking instead of failing. They
    fill half of the room at most: what they wait for is never taken from calls that cannot wait.

    Lines have a room of their own, so that many long invoices never keep a short one out. Streams
    check one item at a time, and not in the lanes of calls: theirs are not counted.

    ``bulk`` is what gives way: refused, or left to wait, once three quarters of the room are taken.
    """

    def __init__(
        self,
        *,
        count_max: int,
        in_work: Callable[[], int],
        throughput: Throughput | None = None,
        wait_s_max: float = 1.0,
    ) -> None:
        self._count_max = count_max
        self._in_work = in_work
        self._throughput = throughput
        self._wait_s_max = wait_s_max
        # Spreads callers that were refused at the same moment; nothing secret depends on it.
        self._rng = Random()  # noqa: S311
        self._checking_count = 0
        self._long_line_count = 0
        self._stream_count = 0
        # Whoever waits, by whether it is bulk.
        self._queues: dict[bool, deque[Turn]] = {False: deque(), True: deque()}

    @contextlib.contextmanager
    def admitted(self, count: int, line_count: int = 0, *, bulk: bool = False) -> Iterator[None]:
        """Hold room for ``count`` requests while they are checked and handed over; all or none.

        ``line_count`` is that of all of them.

        Raises:
            Overloaded: There is no room. Nothing is held.
        """
        busy_count, room_count = self._busy_count(), self._room_count()
        if busy_count + count > room_count or (bulk and not self._bulk_fits(busy_count, count)):
            raise Overloaded(
                "too much work is waiting", retry_s=self._retry_s(), waiting_count=busy_count
            )
        long_line_count = max(0, line_count - SHORT_LINE_COUNT_MAX * count)
        if long_line_count and self._long_line_count + long_line_count > LONG_LINE_COUNT_MAX:
            raise Overloaded(
                "too many long invoices are waiting",
                retry_s=self._retry_s(),
                waiting_count=busy_count,
            )
        self._checking_count += count
        self._long_line_count += long_line_count
        try:
            yield
        finally:
            self._checking_count -= count
            self._long_line_count -= long_line_count
            self.freed()

    def turn(self, *, bulk: bool = False) -> Turn | None:
        """Hold room for one item of a stream: None when it has it, else what to wait for.

        Whoever waits no longer sets an exception on the future. Room that was had is given back by
        ``checked`` and ``ended``.
        """
        before = self._queues[False] or (bulk and self._queues[True])
        if not before and self._free(bulk=bulk):
            self._grant()
            return None
        turn: Turn = asyncio.get_running_loop().create_future()
        self._queues[bulk].append(turn)
        return turn

    def checked(self) -> None:
        """An item of a stream was handed over, or refused."""
        self._checking_count -= 1
        self.freed()

    def ended(self) -> None:
        """The outcome of an item of a stream is known."""
        self._stream_count -= 1
        self.freed()

    def freed(self) -> None:
        """Something ended: whoever has waited longest goes on, bulk after all others."""
        for bulk, queue in self._queues.items():
            while queue and self._free(bulk=bulk):
                turn = queue.popleft()
                if not turn.done():
                    self._grant()
                    turn.set_result(None)

    def _busy_count(self) -> int:
        return self._in_work() + self._checking_count

    def _room_count(self) -> int:
        """How many may be in work now."""
        if self._throughput is None:
            return self._count_max
        in_time_count = self._throughput.per_s * self._wait_s_max
        return int(min(self._count_max, max(ROOM_COUNT_MIN, in_time_count)))

    def _bulk_fits(self, busy_count: int, count: int) -> bool:
        # One that is larger than their part of the room still gets in when nobody else is there.
        part_count = self._room_count() * 3 // 4
        return busy_count + min(count, part_count) <= part_count

    def _free(self, *, bulk: bool) -> bool:
        room_count = self._room_count()
        if self._stream_count >= room_count // 2:
            return False
        return self._busy_count() < (room_count * 3 // 4 if bulk else room_count)

    def _retry_s(self) -> float:
        """When to come back: when what is in work now will be done, about."""
        left_s = 1.0
        if self._throughput is not None and not math.isinf(self._throughput.per_s):
            left_s = self._busy_count() / max(self._throughput.per_s, 1.0)
        left_s = min(max(left_s, _RETRY_S_MIN), _RETRY_S_MAX)
        return round(left_s * self._rng.uniform(0.5, 1.5), 3)

    def _grant(self) -> None:
        self._checking_count += 1
        self._stream_count += 1
