"""A clock that a test moves by hand, for parts that use real threads beside it."""

import asyncio


class HandClock:
    """The gateway's clock. It stands until :meth:`move`; whoever sleeps waits for that."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.passed_s = 0.0
        self._began_at = now
        self._moved = asyncio.Condition()
        self._asked = asyncio.Event()

    def now(self) -> float:
        return self._began_at + self.passed_s

    def monotonic(self) -> float:
        return self.passed_s

    async def sleep(self, seconds: float) -> None:
        ends_at = self.passed_s + seconds
        self._asked.set()
        async with self._moved:
            await self._moved.wait_for(lambda: self.passed_s >= ends_at)

    async def asked(self) -> None:
        """Wait until somebody sleeps who did not when the clock moved last."""
        await self._asked.wait()

    async def move(self, seconds: float) -> None:
        """Let time pass."""
        self._asked.clear()
        async with self._moved:
            self.passed_s += seconds
            self._moved.notify_all()
