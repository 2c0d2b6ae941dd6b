"""When calls are due, and what became of each: the arithmetic of an open-loop load.

Callers who come by themselves do not wait for each other. So a call is due at a time that no answer
can move, and its latency counts from then: when the server stalls, all who came meanwhile are seen
to wait. What cannot be sent, because too many are outstanding, is counted and never left out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from hdrh.histogram import HdrHistogram

from loadtests.account import histogram, note

POISSON: Final = "poisson"
CONSTANT: Final = "constant"

# Later than a loop's own timers are: the call waited for one of its predecessors.
_LATE_S: Final = 0.01

Send = Callable[[int], Awaitable[None]]


def due(rate: float, seconds: float, *, kind: str, random: Random) -> Iterator[float]:
    """Yield when calls are due, in seconds from the start, for as long as the run is.

    POISSON: independent callers, ``rate`` a second on average. CONSTANT: exactly every 1/``rate``.
    """
    at = 0.0
    number = 0
    while True:
        number += 1
        # Multiplied, not added up: an hour of tenths has to end where it says.
        at = at + random.expovariate(rate) if kind == POISSON else (number - 1) / rate
        if at >= seconds:
            return
        yield at


@dataclass(slots=True)
class Tally:
    """What became of the calls; every one that was due is ``sent`` or ``unsent``.

    ``late`` are those of ``due`` that were sent after their time, or not at all. ``latencies`` are
    from the due time: of all that were answered, and of those not sent for as long as they waited.
    """

    due: int = 0
    sent: int = 0
    answered: int = 0
    failed: int = 0
    late: int = 0
    unsent: int = 0
    latencies: HdrHistogram = field(default_factory=histogram)


class OpenLoop:
    """Sends calls when they are due, at most ``outstanding_max`` at once.

    ``send(n)`` makes the n-th call and raises one of ``failures`` for an answer that is none. Calls that
    wait for a free place are sent in order; ``grace_s`` after the last was due, no more are.
    """

    def __init__(
        self,
        send: Send,
        *,
        outstanding_max: int,
        grace_s: float,
        failures: type[Exception] | tuple[type[Exception], ...],
    ) -> None:
        self._send = send
        self._places = asyncio.Semaphore(outstanding_max)
        self._grace_s = grace_s
        self._failures = failures
        self._tally = Tally()

    async def run(self, due_times: Iterable[float], *, seconds: float) -> Tally:
        """Make all calls, wait for their answers, and return what became of them."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        end = start + seconds + self._grace_s
        async with asyncio.TaskGroup() as calls:
            for number, offset in enumerate(due_times):
                at = start + offset
                self._tally.due += 1
                await asyncio.sleep(max(0.0, at - loop.time()))
                if not await self._place(end):
                    self._unsent(loop.time() - at)
                    continue
                self._tally.sent += 1
                self._tally.late += loop.time() - at > _LATE_S
                calls.create_task(self._call(number, at))
        return self._tally

    async def _place(self, end: float) -> bool:
        """Wait for a free place; False when there is none before ``end``."""
        if not self._places.locked():
            await self._places.acquire()
            return True
        left_s = end - asyncio.get_running_loop().time()
        if left_s <= 0:
            return False
        try:
            await asyncio.wait_for(self._places.acquire(), left_s)
        except TimeoutError:
            return False
        return True

    def _unsent(self, waited_s: float) -> None:
        self._tally.unsent += 1
        self._tally.late += 1
        # It would have waited longer still: left out, it would make the server look faster.
        note(self._tally.latencies, waited_s)

    async def _call(self, number: int, at: float) -> None:
        try:
            await self._send(number)
        except self._failures:
            # Refusals are quick and would flatter; they are counted by reason.
            self._tally.failed += 1
        else:
            self._tally.answered += 1
            note(self._tally.latencies, asyncio.get_running_loop().time() - at)
        finally:
            self._places.release()


def rates(text: str) -> Sequence[float]:
    """The rates of ``500,1000``; ``ValueError`` when one is none."""
    found = [float(one) for one in text.split(",")]
    if any(rate <= 0 for rate in found):
        raise ValueError("a rate is above 0")
    return found
