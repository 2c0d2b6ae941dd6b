"""A stream of requests: read while there is room, issued side by side, answered as they are done.

A stream reads on while few of its items are unanswered, and an item is unanswered until flow
control has taken its answer. So a caller that reads slowly slows down its own stream only, and a
stream never holds more than that.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal

from gateway import convert, status
from gateway.admission import Turn
from gateway.deadline import Deadline
from gateway.issue import Issuer
from gateway.issuing import (
    ANSWER_BYTES,
    LINE_BYTES,
    MESSAGE_BYTES_MAX,
    STALE_TRIES,
    Ask,
    Issuing,
    Outcome,
    keeps_changing,
)
from gateway.job import Issued, StaleTaxpayer, Waiter, give_up
from gateway.lanes import Lanes
from gateway.prepare import Prepared, Preparer
from invoice.errors import DeadlineTooShort, Overloaded, ShuttingDown
from ledger.records import Reservation
from taxcontrol.v1 import invoice_service_pb2 as pb2

# Requests, contents and answers of one stream, as they lie in memory. One more item may come on top.
UNANSWERED_BYTES_MAX = MESSAGE_BYTES_MAX


class IssueStreams:
    """Serves streams, so many at a time. ``draining`` is set when the gateway goes down."""

    def __init__(
        self,
        *,
        issuer: Issuer,
        issuing: Issuing,
        preparer: Preparer,
        draining: asyncio.Event,
        stream_count_max: int,
        unanswered_max: int,
    ) -> None:
        self.issuer = issuer
        self.issuing = issuing
        self.preparer = preparer
        self.draining = draining
        self.unanswered_max = unanswered_max
        # Long items of all streams wait for each other here, and calls do not wait for them.
        self.lanes = Lanes()
        self._stream_count_max = stream_count_max
        self._stream_count = 0
        self._readers: set[asyncio.Task[None]] = set()

    async def serve(
        self, requests: AsyncIterator[pb2.IssueInvoicesRequest], deadline: Deadline
    ) -> AsyncGenerator[pb2.IssueInvoicesResponse, None]:
        """Answer every request as soon as its outcome is known.

        Raises, once everything that was read is answered:
            ShuttingDown: The gateway drains.
            DeadlineTooShort: The deadline is near, and the caller has not ended the stream.
            InvalidRequest: A message cannot be read.
        """
        with self._counted():
            stream = _Stream(self, requests, deadline)
            reader = asyncio.create_task(stream.read(), name="issue.stream")
            # Kept, and never cancelled: a read that gRPC has begun ends with its call.
            self._readers.add(reader)
            reader.add_done_callback(self._readers.discard)
            drained = asyncio.create_task(self.draining.wait())
            drained.add_done_callback(stream.drain)
            late = _call_at(deadline, stream.expire)
            try:
                async for response in stream.responses():
                    yield response
            finally:
                stream.leave()
                drained.cancel()
                if late is not None:
                    late.cancel()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._stream_count >= self._stream_count_max:
            raise Overloaded(
                "too many streams are open", retry_s=1.0, waiting_count=self._stream_count
            )
        self._stream_count += 1
        try:
            yield
        finally:
            self._stream_count -= 1


@dataclass(slots=True, eq=False)
class _Item:
    """One request until its answer has been taken. ``size`` is about what it holds, in bytes."""

    request_id: str
    ask: Ask | None
    size: int
    try_count: int = 0
    outcome: Outcome | None = None


class _Stream:
    """One caller's stream: a reader takes requests in, a writer takes outcomes out."""

    def __init__(
        self,
        streams: IssueStreams,
        requests: AsyncIterator[pb2.IssueInvoicesRequest],
        deadline: Deadline,
    ) -> None:
        self._deadline = deadline
        self._issuing = streams.issuing
        self._lanes = streams.lanes
        self._preparer = streams.preparer
        self._admission = streams.issuer.admission
        self._unanswered_max = streams.unanswered_max
        self._requests = requests
        self._reading = True
        self._late = False
        self._left = False
        self._failure: Exception | None = None
        self._unanswered_count = 0
        self._unanswered_bytes = 0
        self._turn: Turn | None = None
        self._open: dict[Waiter, _Item] = {}
        self._retries: set[asyncio.Task[None]] = set()
        self._done: deque[_Item] = deque()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()

    # --- its ends -----------------------------------------------------------------------

    def drain(self, drained: asyncio.Task[Literal[True]]) -> None:
        """The gateway goes down: read no more."""
        if not drained.cancelled():
            self._end(ShuttingDown("the gateway is shutting down", retry_s=1.0))

    def expire(self) -> None:
        """The caller's deadline is near: read no more, and answer what is open."""
        self._late = True
        self._end(DeadlineTooShort("the deadline ends the stream"))
        give_up(self._open)
        self._give_up_turn()

    def leave(self) -> None:
        """Nobody listens any more. What has its number goes on."""
        self._left = True
        self._end(None)
        for waiter in self._open:
            waiter.cancel()
        self._give_up_turn()

    def _end(self, failure: Exception | None) -> None:
        if self._reading:
            self._reading = False
            self._failure = failure
        self._room.set()
        self._wake.set()

    def _give_up_turn(self) -> None:
        if self._turn is not None:
            give_up((self._turn,))

    # --- reading ------------------------------------------------------------------------

    async def read(self) -> None:
        """Take in requests while there is room, until the caller ends the stream or we do."""
        try:
            while await self._has_room():
                message = await anext(self._requests)
                if not self._reading:  # too late: unanswered, as if it had never come
                    return
                await self._take(message.request)
        except StopAsyncIteration:
            self._end(None)
        except Exception as error:  # noqa: BLE001 - whatever ends the reading ends the stream
            self._end(error)

    async def _has_room(self) -> bool:
        """Wait until one more may be read; False when nothing is to be read any more."""
        while self._reading and (
            self._unanswered_count >= self._unanswered_max
            or self._unanswered_bytes >= UNANSWERED_BYTES_MAX
        ):
            self._room.clear()
            await self._room.wait()
        return self._reading

    async def _take(self, request: pb2.IssueInvoiceRequest) -> None:
        bulk = convert.bulk(request.priority)
        ask = Ask(request.request_id, partial(self._check, request), len(request.lines), bulk)
        item = _Item(ask.request_id, ask, size=0)
        self._unanswered_count += 1
        self._weigh(item, request.ByteSize() + LINE_BYTES * ask.line_count)
        self._turn = self._admission.turn(bulk=bulk)
        try:
            if self._turn is not None:
                await self._turn
        except Exception as error:  # noqa: BLE001 - told to wait no longer
            self._answer(item, error)
            return
        finally:
            self._turn = None
        try:
            await self._begin(item, reload=False)
        finally:
            self._admission.checked()

    async def _check(self, request: pb2.IssueInvoiceRequest, *, reload: bool) -> Prepared:
        if self._left:  # while it waited in its lane
            raise DeadlineTooShort("nobody waits for the answer")
        return await self._preparer.issue(request, reload=reload)

    async def _begin(self, item: _Item, *, reload: bool) -> None:
        assert item.ask is not None
        looked = await self._issuing.look(item.ask, self._deadline, self._lanes, reload=reload)
        if self._left:
            self._admission.ended()
            return
        if not reload and isinstance(looked, Reservation):
            # Once to ask for it, once in what is stored.
            self._weigh(item, item.size - ANSWER_BYTES + 2 * len(looked.tail))
        begun = self._issuing.begin(looked)
        if isinstance(begun, Issued | Exception):
            self._finish(item, begun)
        else:
            self._wait_for(begun, item)

    def _wait_for(self, waiter: Waiter, item: _Item) -> None:
        self._open[waiter] = item
        waiter.add_done_callback(self._ended)
        if self._left:
            waiter.cancel()
        elif self._late:
            give_up((waiter,))

    # --- outcomes -----------------------------------------------------------------------

    def _ended(self, waiter: Waiter) -> None:
        item = self._open.pop(waiter)
        if waiter.cancelled():
            self._admission.ended()
            return
        error = waiter.exception()
        if isinstance(error, StaleTaxpayer):
            self._retry(item)
        elif isinstance(error, Exception):
            self._finish(item, error)
        else:
            self._finish(item, waiter.result())

    def _retry(self, item: _Item) -> None:
        """Check an item anew beside the stream, which it does not hold up."""
        item.try_count += 1
        if item.try_count > STALE_TRIES:
            self._finish(item, keeps_changing())
            return
        task = asyncio.create_task(self._begin(item, reload=True))
        self._retries.add(task)
        task.add_done_callback(self._retries.discard)

    def _finish(self, item: _Item, outcome: Issued | Exception) -> None:
        self._admission.ended()
        self._answer(item, outcome)

    def _answer(self, item: _Item, outcome: Issued | Exception) -> None:
        item.ask = None
        if isinstance(outcome, Issued):
            item.outcome = outcome
            self._weigh(item, len(outcome.entry.content))
        else:
            item.outcome = status.failed(outcome)
            # Its many small parts take about as much again.
            self._weigh(item, 2 * item.outcome.ByteSize())
        self._done.append(item)
        self._wake.set()

    async def responses(self) -> AsyncGenerator[pb2.IssueInvoicesResponse, None]:
        """Every answer when it is there, until all that was read is answered."""
        while self._reading or self._unanswered_count:
            while self._done:
                item = self._done.popleft()
                assert item.outcome is not None
                result = await self._issuing.result(item.request_id, item.outcome)
                yield pb2.IssueInvoicesResponse(result=result)
                self._weigh(item, -ANSWER_BYTES)
                self._unanswered_count -= 1
                self._room.set()
            self._wake.clear()
            if self._reading or self._unanswered_count:
                await self._wake.wait()
        if self._failure is not None:
            raise self._failure

    def _weigh(self, item: _Item, size: int) -> None:
        self._unanswered_bytes += size + ANSWER_BYTES - item.size
        item.size = size + ANSWER_BYTES


def _call_at(deadline: Deadline, call: Callable[[], None]) -> asyncio.TimerHandle | None:
    if deadline.at is None:
        return None
    return asyncio.get_running_loop().call_at(deadline.at, call)
