"""Time that passes only when nobody has anything to do, so that a day takes seconds."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from asyncio_throttle.throttler import Throttler

from quota.windows import Window

_T = TypeVar("_T")

# 2026-11-22 in Shanghai; any instant would do.
EPOCH_S = 1_795_276_800.0

_LOOK_S = 1e-7


class _JumpingSelector(selectors.DefaultSelector):
    """Where the loop would sleep, time jumps to the next timer instead."""

    virtual_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("every task waits for something that will never happen")
        if not ready and timeout is not None:
            self.virtual_s += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time. No threads and no sockets: their time is not virtual."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual monotonic seconds."""
        return self._jumping.virtual_s

    def pass_by(self, seconds: float) -> None:
        """Let time pass without anybody waiting."""
        self._jumping.virtual_s += seconds


class VirtualClock:
    """The gateway's clock on a :class:`VirtualLoop`; ``step_s`` is by how much wall time has stepped."""

    def __init__(self) -> None:
        self.step_s = 0.0

    def now(self) -> float:
        """See the clock."""
        return EPOCH_S + self.monotonic() + self.step_s

    def monotonic(self) -> float:
        """See the clock."""
        # Time passes while one looks: two readings are never equal, as in life.
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.pass_by(_LOOK_S)
        return loop.time()

    async def sleep(self, seconds: float) -> None:
        """See the clock."""
        await asyncio.sleep(seconds)


class VirtualThrottler(Throttler):
    """asyncio-throttle on virtual time; it fails instead of polling."""

    def flush(self) -> None:
        """Forget what has left the window."""
        now = asyncio.get_running_loop().time()
        while self._task_logs and now - self._task_logs[0] > self.period:
            self._task_logs.popleft()

    async def acquire(self) -> None:
        """Take a place; there has to be one."""
        self.flush()
        assert len(self._task_logs) < self.rate_limit, "the guard would have polled"
        self._task_logs.append(asyncio.get_running_loop().time())


def virtual_guard(window: Window) -> VirtualThrottler:
    """The guard of a pacer on virtual time."""
    return VirtualThrottler(rate_limit=window.call_count_max, period=window.period_s)


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """Run ``main`` on virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
