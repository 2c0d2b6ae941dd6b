"""A thread of its own for blocking database work, one piece after another.

One hop there and one back for each piece: the queue carries a callable, its answer returns by
``call_soon_threadsafe``. A caller that gives up waiting stops nothing that has begun.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from invoice.errors import LedgerUnavailable

T = TypeVar("T")

Idle = Callable[[], None]


def _nothing() -> None:
    """Do nothing while idle."""


class Lane:
    """Runs blocking calls off the event loop, in the order they came.

    ``idle`` runs on the same thread once nothing has come for ``idle_after_s``. With
    ``finishes_all`` False work that nobody waits for any more is not begun, nor is any after the
    stop: right for reading, where an answer is all there is to it.
    """

    def __init__(
        self,
        name: str,
        *,
        finishes_all: bool = True,
        idle: Idle = _nothing,
        idle_after_s: float = 0.02,
    ) -> None:
        self._open = False
        self._finishes_all = finishes_all
        self._idle = idle
        self._idle_after_s = idle_after_s
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # A daemon, so that a process that dies without closing does not hang: what was not
        # answered is unknown anyway.
        self._thread = Thread(target=self._work, name=name, daemon=True)

    @property
    def waiting_count(self) -> int:
        """How many pieces of work wait. Read from any thread."""
        return self._queue.qsize()

    def start(self) -> None:
        """Start the thread. A lane starts once."""
        self._thread.start()
        self._open = True

    async def run(self, work: Callable[[], T]) -> T:
        """Answer ``work()`` or raise what it raises; :class:`LedgerUnavailable` after the stop."""
        if not self._open:
            raise _closed()
        return await self._queued(work, last=False)

    async def stop(self, last: Callable[[], None]) -> None:
        """Finish what runs and what must be finished, then ``last``, and end the thread."""
        if self._open:
            self._open = False
            finished = self._queued(last, last=True)
            self._queue.put(None)
            await finished
            self._thread.join()

    def _queued(self, work: Callable[[], T], *, last: bool) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        must = last or self._finishes_all
        self._queue.put(lambda: self._deliver(work, answer, loop, must=must))
        return answer

    def _work(self) -> None:
        rested = True
        while True:
            try:
                piece = self._queue.get(timeout=None if rested else self._idle_after_s)
            except Empty:
                self._idle()
                rested = True
                continue
            if piece is None:
                return
            piece()
            rested = False

    def _deliver(
        self,
        work: Callable[[], T],
        answer: asyncio.Future[T],
        loop: asyncio.AbstractEventLoop,
        *,
        must: bool,
    ) -> None:
        try:
            if not must:
                self._check_wanted(answer)
            result = work()
        except BaseException as error:  # noqa: BLE001 - it is handed to the caller, whatever it is
            _post(loop, partial(_fail, answer, error))
        else:
            _post(loop, partial(_finish, answer, result))

    def _check_wanted(self, answer: asyncio.Future[T]) -> None:
        # Read on this thread, set on the loop's: what changes just now is run once more for nothing.
        if not self._open or answer.cancelled():
            raise _closed()


def _closed() -> LedgerUnavailable:
    return LedgerUnavailable("the ledger is closed")


def _finish(answer: asyncio.Future[T], result: T) -> None:
    if not answer.done():
        answer.set_result(result)


def _fail(answer: asyncio.Future[T], error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)


def _post(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    # A loop that was closed meanwhile has nobody left to tell.
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)
