"""A clock that stands where a test has set it, for a whole gateway: whoever pauses goes on soon."""

import asyncio

_PAUSE_S_MAX = 0.01


class SetClock:
    """Wall and monotonic time pass by :meth:`pass_by` only; :meth:`step` moves the wall clock alone."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._passed_s = 0.0

    def now(self) -> float:
        """See the clock."""
        return self._now

    def monotonic(self) -> float:
        """See the clock."""
        return self._passed_s

    async def sleep(self, seconds: float) -> None:
        """Wait a moment of the machine's time, however long was asked for."""
        await asyncio.sleep(min(seconds, _PAUSE_S_MAX))

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds
        self._passed_s += seconds

    def pass_until(self, time: float) -> None:
        """Let time pass until the wall clock shows ``time``."""
        self.pass_by(time - self._now)

    def step(self, seconds: float) -> None:
        """Set the wall clock, forward or back."""
        self._now += seconds
