"""What is counted while the gateway works: plain numbers, since the path of an invoice pays for them.

Rules of this file. Each number has one writer: the event loop, or the thread that writes the ledger. A
scrape reads them from a thread of its own; it copies before it walks, and may see one count a moment
before the next. A child of prometheus-client takes a lock for each of its steps and costs three times as much.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

_CALL_BOUNDS_S: Final = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_STEP_BOUNDS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_SIZE_BOUNDS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)


class Spread:
    """How many values came, how large, and their sum: a histogram."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def merge(self, other: "Spread") -> None:
        """Count all that ``other`` has, which has the same bounds."""
        self.counts = [mine + its for mine, its in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum

    def empty_copy(self) -> "Spread":
        """The same bounds, and nothing counted."""
        return Spread(self._bounds)

    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, how many up to it), as Prometheus has them; the last is all."""
        counted, buckets = 0, []
        for bound, count in zip((*self._bounds, None), list(self.counts), strict=True):
            counted += count
            buckets.append(("+Inf" if bound is None else f"{bound:g}", float(counted)))
        return buckets

    @property
    def count(self) -> int:
        """How many values came."""
        return sum(self.counts)


class Calls:
    """The calls of one method, by the reason they ended with: ``OK`` or one of the contract's."""

    __slots__ = ("elapsed_s", "reasons")

    def __init__(self) -> None:
        self.reasons: dict[str, int] = {}
        self.elapsed_s = Spread(_CALL_BOUNDS_S)

    def ended(self, reason: str, elapsed_s: float | None = None) -> None:
        """Count one. ``elapsed_s`` None: a stream, which lasts as long as its caller likes."""
        add_one(self.reasons, reason)
        if elapsed_s is not None:
            self.elapsed_s.add(elapsed_s)


class Measures:
    """All that is counted. One for a process."""

    def __init__(self) -> None:
        self.calls: dict[str, Calls] = {}
        self.group_invoices = Spread(_SIZE_BOUNDS)
        self.group_commit_s = Spread(_STEP_BOUNDS_S)
        self.sign_invoices = Spread(_SIZE_BOUNDS)
        self.sign_s = Spread(_STEP_BOUNDS_S)
        self.ledger_commit_s = Spread(_STEP_BOUNDS_S)
        self.issued: dict[str, int] = {}
        # When (unix seconds) and by how much an issue time was last moved ahead of the clock.
        self.clamped = (0.0, 0.0)
        self.refused: dict[str, int] = {}

    def calls_of(self, method: str) -> Calls:
        """Where the calls of ``method`` are counted: to be kept, not looked up for each."""
        return self.calls.setdefault(method, Calls())

    def signed(self, count: int, elapsed_s: float) -> None:
        """Count one call to the device that signed ``count`` invoices."""
        self.sign_invoices.add(count)
        self.sign_s.add(elapsed_s)

    def committed(self, count: int, elapsed_s: float) -> None:
        """Count one group of ``count`` reserves and settles, from its handing over to its outcome."""
        self.group_invoices.add(count)
        self.group_commit_s.add(elapsed_s)


def add_one(counts: dict[str, int], name: str) -> None:
    """Count one of ``name``."""
    counts[name] = counts.get(name, 0) + 1
