"""Threads that do a device's blocking calls, and the way there and back.

Rules: one queue for all lanes, so work goes to whoever is free. One wake-up per job on the way in,
one ``call_soon_threadsafe`` on the way out. Nothing here knows what a job does. A lane whose job
does not return is abandoned, never joined: its thread is a daemon and leaves by itself when the
device lets go of it. The number of abandoned threads is bounded.
"""

import asyncio
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from hsm.errors import DeviceAway


class Closable(Protocol):
    """What a lane works with; closed by the lane's own thread when it leaves."""

    def close(self) -> None:
        """Give up what is held at the device."""


S = TypeVar("S", bound=Closable)
T = TypeVar("T")


class LaneLate(DeviceAway):
    """No answer in time. ``stuck``: a lane hangs in the device, it is not just a long queue."""

    def __init__(self, *, wait_s: float, stuck: bool) -> None:
        super().__init__(f"no answer within {wait_s:g} s" + ("" if stuck else ", work is queueing"))
        self.stuck = stuck


class LanesClosed(DeviceAway):
    """The lanes were told to leave."""


class _Answers(Generic[T]):
    """The results of one call's jobs. Lives on the loop; only ``dropped`` is read by lanes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, count: int) -> None:
        self.loop = loop
        self.future: asyncio.Future[list[T]] = loop.create_future()
        self.dropped = False
        self._left_count = count
        self._results: list[T | None] = [None] * count

    def arrive(self, index: int, result: T | None, error: Exception | None) -> None:
        if self.future.done():
            return
        if error is not None:
            self.fail(error)
            return
        self._results[index] = result
        self._left_count -= 1
        if self._left_count == 0:
            self.future.set_result(self._results)  # type: ignore[arg-type]  # each one arrived

    def fail(self, error: Exception) -> None:
        # What is still queued need not be done any more.
        self.dropped = True
        if not self.future.done():
            self.future.set_exception(error)


class _Job(Generic[S, T]):
    __slots__ = ("answers", "index", "work")

    def __init__(self, work: Callable[[S], T], answers: _Answers[T], index: int) -> None:
        self.work = work
        self.answers = answers
        self.index = index

    def run(self, seat: S) -> None:
        if self.answers.dropped:
            return
        result, failure = None, None
        try:
            result = self.work(seat)
        except Exception as error:  # noqa: BLE001 - whatever it is, the waiting caller raises it
            failure = error
        # A closed loop: the caller is gone with it.
        with suppress(RuntimeError):
            self.answers.loop.call_soon_threadsafe(self.answers.arrive, self.index, result, failure)


class _Lane(Generic[S]):
    """One thread and its seat at the device."""

    def __init__(
        self, jobs: "queue.SimpleQueue[_Job[S, object] | None]", seat: S, name: str
    ) -> None:
        self._jobs = jobs
        self._seat = seat
        self.busy_since: float | None = None
        self.abandoned = False
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def stuck(self, now: float, *, after_s: float) -> bool:
        since = self.busy_since
        return since is not None and now - since >= after_s

    def _run(self) -> None:
        while not self.abandoned and (job := self._jobs.get()) is not None:
            self.busy_since = time.monotonic()
            job.run(self._seat)
            self.busy_since = None
        self._seat.close()


class Lanes(Generic[S]):
    """``count`` lanes; :meth:`run` may be called by many tasks of one event loop."""

    def __init__(self, open_seat: Callable[[], S], *, count: int, wait_s: float) -> None:
        self._open_seat = open_seat
        self._count = count
        self._wait_s = wait_s
        self._jobs: queue.SimpleQueue[_Job[S, object] | None] = queue.SimpleQueue()
        self._lanes: list[_Lane[S]] = []
        self._abandoned: list[_Lane[S]] = []
        # Twice the lanes: enough to go on while the device answers some calls and not others.
        # Beyond that every call hangs, and more threads would only wait as well.
        self._abandoned_count_max = 2 * count
        self._made_count = 0
        self.closed = False
        self._pid = os.getpid()

    @property
    def abandoned_count(self) -> int:
        """Threads that hang in the device at this moment."""
        self._abandoned = [lane for lane in self._abandoned if lane.thread.is_alive()]
        return len(self._abandoned)

    @property
    def busy_count(self) -> int:
        """Lanes that are in the device at this moment. Read from any thread."""
        return sum(lane.busy_since is not None for lane in list(self._lanes))

    @property
    def hanging_count(self) -> int:
        """As ``abandoned_count``, and changes nothing: read from any thread."""
        return sum(lane.thread.is_alive() for lane in list(self._abandoned))

    def start(self) -> None:
        """Start the threads. Seats open their sessions when they are first needed."""
        self._lanes = [self._lane() for _ in range(self._count)]

    async def run(
        self, works: Sequence[Callable[[S], T]], *, wait_s: float | None = None
    ) -> list[T]:
        """Do ``works`` on whatever lanes are free; their results in order, or the first error.

        Raises:
            LaneLate: Not all were done within ``wait_s``; a lane that hangs was replaced.
            LanesClosed: After :meth:`close`.
        """
        if self.closed:
            raise LanesClosed("the device is closed")
        if os.getpid() != self._pid:
            raise RuntimeError("lanes do not survive a fork: start the signer after it")
        loop = asyncio.get_running_loop()
        answers: _Answers[T] = _Answers(loop, len(works))
        for index, work in enumerate(works):
            self._jobs.put(_Job(work, answers, index))  # type: ignore[arg-type]  # T is its own
        limit_s = self._wait_s if wait_s is None else wait_s
        timer = loop.call_later(limit_s, self._late, answers, limit_s)
        try:
            return await answers.future
        finally:
            answers.dropped = True
            timer.cancel()

    async def close(self) -> None:
        """Let the lanes finish what is queued and leave; hanging ones are left behind."""
        self.closed = True
        for _ in self._lanes:
            self._jobs.put(None)
        until = time.monotonic() + self._wait_s
        for lane in self._lanes:
            await in_thread(lambda lane=lane: lane.thread.join(max(0.0, until - time.monotonic())))  # type: ignore[misc]  # mypy cannot infer a default
        self._lanes = []

    def _late(self, answers: _Answers[T], limit_s: float) -> None:
        # Half the limit tells a hanging call from one that queued: a chunk takes milliseconds.
        stuck = self._replace_stuck(limit_s / 2)
        answers.fail(LaneLate(wait_s=limit_s, stuck=stuck))

    def _replace_stuck(self, after_s: float) -> bool:
        now = time.monotonic()
        stuck = [lane for lane in self._lanes if lane.stuck(now, after_s=after_s)]
        for lane in stuck[: self._abandoned_count_max - self.abandoned_count]:
            lane.abandoned = True
            self._abandoned.append(lane)
            self._lanes[self._lanes.index(lane)] = self._lane()
        return bool(stuck)

    def _lane(self) -> _Lane[S]:
        self._made_count += 1
        return _Lane(self._jobs, self._open_seat(), f"hsm-lane-{self._made_count}")


async def in_thread(call: Callable[[], T]) -> T:
    """Run one blocking ``call`` in a thread of its own, so that no shared pool can be used up."""
    loop = asyncio.get_running_loop()
    answers: _Answers[T] = _Answers(loop, 1)
    job: _Job[None, T] = _Job(lambda _: call(), answers, 0)  # type: ignore[type-var]  # no seat
    threading.Thread(target=job.run, args=(None,), name="hsm-once", daemon=True).start()
    return (await answers.future)[0]
