"""The most urgent of many by name, and everybody else together: what keeps the number of series bounded."""

import heapq
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

T = TypeVar("T")

OTHER: Final = "other"
"""What a label says of all that are not named. No tax number and no method reads like it."""


class Ranking(Generic[T]):
    """Keeps the ``count_max`` most urgent; ``fold`` takes each of the rest, in any order.

    The lower an urgency the more urgent it is. Among equals who came first stays.
    """

    def __init__(self, count_max: int, fold: Callable[[T], None]) -> None:
        self._count_max = count_max
        self._fold = fold
        self._came_count = 0
        # A heap gives up its smallest, so urgencies are turned round: there the least urgent lies on top.
        self._kept: list[tuple[tuple[float, ...], int, T]] = []
        self.folded_count = 0

    def add(self, line: T, urgency: Sequence[float]) -> None:
        """Take one line in."""
        self._came_count += 1
        item = (tuple(-part for part in urgency), -self._came_count, line)
        if len(self._kept) < self._count_max:
            heapq.heappush(self._kept, item)
            return
        self._fold(heapq.heappushpop(self._kept, item)[2])
        self.folded_count += 1

    def named(self) -> list[T]:
        """Those that are kept, the most urgent first."""
        return [line for _, _, line in sorted(self._kept, key=lambda item: item[:2], reverse=True)]
