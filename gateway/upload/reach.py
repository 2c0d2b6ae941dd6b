"""What the taxpayers' streams tell each other about whether the authority answers.

While it is away each stream backs off on its own, and one of them, the probe, keeps its delays
short. The first answer anybody gets calls the others back, spread out so that they do not all
come at once.
"""

from collections.abc import Callable
from random import Random

from gateway.clock import Clock

# How many waiting taxpayers are called back per second.
_RECALLED_PER_S = 100

Recall = Callable[[float], None]
"""Told in how many seconds to try again."""


class Reach:
    """Who waits for the authority to come back, by tax number; touched by the event loop only."""

    def __init__(self, rng: Random, clock: Clock) -> None:
        self._rng = rng
        self._clock = clock
        self.lost_at: float | None = None
        """Since when (unix seconds) nobody was answered; None while somebody was, or nobody asks."""
        self._waiting: dict[str, Recall] = {}
        self._probe = ""

    @property
    def waiting_count(self) -> int:
        """How many taxpayers wait."""
        return len(self._waiting)

    def lost(self, tax_number: str, recall: Recall) -> bool:
        """Note that a call went unanswered; True when this taxpayer is the one that probes."""
        self._waiting[tax_number] = recall
        if self.lost_at is None:
            self.lost_at = self._clock.now()
        self._probe = self._probe or tax_number
        return self._probe == tax_number

    def found(self, tax_number: str) -> None:
        """Note that a call was answered, whatever the answer was."""
        self.lost_at = None
        if not self._waiting:
            return
        self._waiting.pop(tax_number, None)
        waiting, self._waiting, self._probe = self._waiting, {}, ""
        spread_s = len(waiting) / _RECALLED_PER_S
        for recall in waiting.values():
            recall(self._rng.uniform(0, spread_s))

    def left(self, tax_number: str) -> None:
        """Note that a stream ended. If it was the probe, another one tries at once in its place."""
        self._waiting.pop(tax_number, None)
        if not self._waiting:
            self.lost_at = None
        if self._probe != tax_number:
            return
        self._probe = next(iter(self._waiting), "")
        if self._probe:
            self._waiting[self._probe](0.0)
