"""A thread of its own for blocking database work, one piece after another.

One hop there and one back for each piece: the queue carries a callable, its answer returns by
``call_soon_threadsafe``. A caller that gives up waiting stops nothing.
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

    ``idle`` runs on the same thread once nothing has come for ``idle_after_s``.
    """

    def __init__(self, name: str, *, idle: Idle = _nothing, idle_after_s: float = 0.02) -> None:
        self._open = False
        self._idle = idle
        self._idle_after_s = idle_after_s
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # A daemon, so that a process that dies without closing does not hang: what was not
        # answered is unknown anyway.
        self._thread = Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread. A lane starts once."""
        self._thread.start()
        self._open = True

    async def run(self, work: Callable[[], T]) -> T:
        """Answer ``work()`` or raise what it raises."""
        return await self._queued(work)

    async def stop(self, last: Callable[[], None]) -> None:
        """Finish what is queued, then ``last``, and end the thread. No more work is taken."""
        if self._open:
            finished = self._queued(last)
            self._open = False
            self._queue.put(None)
            await finished
            self._thread.join()

    def _queued(self, work: Callable[[], T]) -> asyncio.Future[T]:
        if not self._open:
            raise LedgerUnavailable("the ledger is closed")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._queue.put(lambda: _deliver(work, answer, loop))
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
    work: Callable[[], T], answer: asyncio.Future[T], loop: asyncio.AbstractEventLoop
) -> None:
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - it is handed to the caller, whatever it is
        _post(loop, partial(_fail, answer, error))
    else:
        _post(loop, partial(_finish, answer, result))


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
