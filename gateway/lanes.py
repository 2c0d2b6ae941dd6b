"""Long invoices are checked one at a time and in slices, so that everybody else has the loop meanwhile.

A check takes about 20 µs a line and cannot leave the loop: a thread of its own would only fight
for the interpreter. So whatever is long waits in a lane, and takes a breath every few milliseconds.
"""

import asyncio
import time
from typing import Final

# What a short invoice costs beside its lines is more than they cost: it never waits.
SHORT_LINE_COUNT_MAX: Final = 20
# Those in between do not wait for the longest ones, which take twenty times as long.
_MIDDLING_LINE_COUNT_MAX: Final = 100
_SLICE_S: Final = 0.002
# gRPC accepts one call in a round of the loop, so one round would let one call in for each slice.
_ROUND_COUNT: Final = 16


class Slices:
    """Gives the loop to others after every slice of long work, whoever does it."""

    def __init__(self) -> None:
        self._began = 0.0

    async def breathe(self) -> None:
        """Go on at once, or after everybody else when this slice has been long enough."""
        if time.perf_counter() - self._began >= _SLICE_S:
            for _ in range(_ROUND_COUNT):
                await asyncio.sleep(0)
            self._began = time.perf_counter()


class Lanes:
    """Where checks of more than ``SHORT_LINE_COUNT_MAX`` lines wait for each other, first come first."""

    def __init__(self) -> None:
        self._middling = asyncio.Lock()
        self._long = asyncio.Lock()

    def lane(self, line_count: int) -> asyncio.Lock:
        """What to hold while so many lines are checked."""
        return self._middling if line_count <= _MIDDLING_LINE_COUNT_MAX else self._long
