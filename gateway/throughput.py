"""How many invoices a second come out when there is always more in work: what the gateway can do now."""

import math
from collections.abc import Callable
from typing import Final

_WINDOW_S: Final = 0.25
# With so many in work all the time nobody waits for callers: what comes out is all that can.
_SATURATED_COUNT: Final = 64
_WEIGHT: Final = 0.3
# What is not measured anew is forgotten, so that a slow minute does not keep callers away for long.
_FORGET: Final = 1.1


class Throughput:
    """Measured in windows of a quarter of a second. ``per_s`` is infinite until there was a full one."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.per_s = math.inf
        self._monotonic = monotonic
        self._began_at = monotonic()
        self._count = 0
        self._least_count = 0

    def ended(self, busy_count: int) -> None:
        """Count an outcome; ``busy_count`` are in work beside it."""
        self._count += 1
        self._least_count = min(self._least_count, busy_count)
        now = self._monotonic()
        elapsed_s = now - self._began_at
        if elapsed_s < _WINDOW_S:
            return
        measured = self._count / elapsed_s
        if self._least_count < _SATURATED_COUNT:
            self.per_s = max(self.per_s, measured) * _FORGET
        elif math.isinf(self.per_s):
            self.per_s = measured
        else:
            self.per_s += _WEIGHT * (measured - self.per_s)
        self._began_at, self._count, self._least_count = now, 0, busy_count
