"""How one taxpayer's stream stands with the authority: answered, refused, or not heard of."""

import math
from collections.abc import Callable
from random import Random
from typing import Final

from gateway.clock import Clock
from gateway.upload.backoff import Backoff
from gateway.upload.reach import Reach

_AWAY: Final = Backoff(base_s=0.2, cap_s=30.0)
# The probe costs one call of one taxpayer each time, and finds the authority within seconds.
_PROBE: Final = Backoff(base_s=0.2, cap_s=3.0)
# One lost answer is everyday; three rounds in a row mean that nobody is there.
_AWAY_FAILURE_COUNT: Final = 3


class Link:
    """Counts failures in a row and says until when to be silent; ``stir`` is told of a change."""

    def __init__(
        self, tax_number: str, *, clock: Clock, rng: Random, stir: Callable[[], None]
    ) -> None:
        self._tax_number = tax_number
        self._reach = Reach(rng, clock)
        self._clock = clock
        self._rng = rng
        self._stir = stir
        self._failure_count = 0
        self._held_count = 0
        self.silent_until = -math.inf
        self.last_error = ""

    def join(self, reach: Reach) -> None:
        """Share with the other taxpayers of one authority what is known of it."""
        self._reach = reach

    @property
    def away(self) -> bool:
        """Whether the authority seems to be gone, not merely to have lost an answer."""
        return self._failure_count >= _AWAY_FAILURE_COUNT

    def answered(self) -> None:
        """Note a call that went well."""
        self._held_count = 0
        self._heard("")

    def refused(self, error: str) -> None:
        """Note a call that was answered no: the authority is there all the same."""
        self._heard(error)

    def held(self) -> None:
        """Be silent for a while: what was refused is this sender, not what it sends."""
        self._held_count += 1
        self.silent_until = self._clock.monotonic() + _AWAY.delay_s(self._held_count, self._rng)

    def lost(self, error: str) -> None:
        """Note a call without an answer, and be silent for a while."""
        self.last_error = error
        now = self._clock.monotonic()
        # Calls in flight together fail together; only the first of them lengthens the silence.
        if now < self.silent_until:
            return
        self._failure_count += 1
        probe = self._reach.lost(self._tax_number, self._recall)
        backoff = _PROBE if probe else _AWAY
        self.silent_until = now + backoff.delay_s(self._failure_count, self._rng)

    def left(self) -> None:
        """Note that the stream has ended, or pauses: another one has to look out."""
        self._reach.left(self._tax_number)

    def _heard(self, error: str) -> None:
        self.last_error = error
        self._failure_count = 0
        self.silent_until = -math.inf
        self._reach.found(self._tax_number)

    def _recall(self, delay_s: float) -> None:
        self.silent_until = min(self.silent_until, self._clock.monotonic() + delay_s)
        self._stir()
