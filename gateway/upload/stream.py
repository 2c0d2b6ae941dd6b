"""The uploads of one taxpayer: one decision after another, several calls under way.

Rules of this file. Memory follows the ledger and may be thrown away at any await: a stream that
fails or is cancelled starts again from what is stored. The next call is chosen at the moment it
may go, not before, so that it takes along whatever has arrived by then.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterable, Mapping
from random import Random
from uuid import uuid4

from authority.port import SUBMIT_COUNT_MAX
from gateway.authorities import Authorities, office_of
from gateway.clock import Clock
from gateway.tracing.port import Tracer
from gateway.upload.agenda import IN_FLIGHT_COUNT_MAX, Agenda, Unaccepted, Work
from gateway.upload.control import in_force, silent_s
from gateway.upload.conversation import Conversation
from gateway.upload.link import Link
from gateway.upload.messages import awaited
from gateway.upload.pacer import Guard, Pacer, SteadyTime
from gateway.upload.reach import Reach
from gateway.upload.status import UploadStatus
from gateway.upload.waiting import first_of
from invoice.errors import TaxpayerNotFound
from invoice.types import Office
from ledger.port import Ledger
from ledger.records import Submission, UploadControlRecord
from quota.windows import Window

# A stored time to ask for results is not believed beyond this: the wall clock may have stepped.
_POLL_DELAY_S_MAX = 60.0


class Stream:
    """One taxpayer's uploads. :meth:`run` may be called again after it has ended, not beside."""

    def __init__(
        self,
        tax_number: str,
        *,
        tenant: str,
        ledger: Ledger,
        authorities: Authorities,
        clock: Clock,
        steady: SteadyTime,
        rng: Random,
        reaches: Mapping[Office, Reach],
        guard: Callable[[Window], Guard],
        on_recorded: Callable[[Iterable[str]], None],
        tracer: Tracer | None = None,
    ) -> None:
        self._tracer = tracer
        self._tax_number = tax_number
        self._tenant = tenant
        self._ledger = ledger
        self._authorities = authorities
        self._clock = clock
        self._rng = rng
        self._on_recorded = on_recorded
        self._pacer = Pacer(tax_number, ledger=ledger, clock=clock, steady=steady, guard=guard)
        self._stirred = asyncio.Event()
        self._link = Link(tax_number, clock=clock, rng=rng, stir=self._stirred.set)
        self._reaches = reaches
        self._opening = asyncio.Lock()
        self._types: tuple[str, ...] = ()
        self._control = UploadControlRecord(tax_number=tax_number)
        self._batch_count_max = SUBMIT_COUNT_MAX
        self._begin_afresh()

    @property
    def fresh(self) -> bool:
        """Whether there may be events that nobody has claimed."""
        return self._agenda.fresh

    def wake(self) -> None:
        """Note that there may be new events. Costs two attribute reads when it is known."""
        if not self._agenda.fresh:
            self._agenda.fresh = True
            self._stirred.set()

    def stop(self) -> None:
        """Send nothing more; :meth:`run` returns when the calls under way have ended."""
        self._stopping = True
        self._stirred.set()

    async def run(self) -> None:
        """Upload until nothing is left.

        Raises:
            AuthorityUnavailable: The gateway is not told of its authority.
            LedgerUnavailable: Run again later; whatever is unknown then is asked about.
            TaxpayerNotFound: Events of somebody who is not registered: our bug.
        """
        self._begin_afresh()
        try:
            await self._work()
        except asyncio.CancelledError:
            for call in self._calls:
                call.cancel()
            await self._finish_calls()
            raise
        finally:
            self._link.left()
        if self._failure is not None:
            raise self._failure

    async def open(self) -> None:
        """Read the taxpayer's windows, what they have seen, and what an operator has decided."""
        async with self._opening:  # what was read last is in force
            record = await self._ledger.taxpayer(self._tenant, self._tax_number)
            if record is None:
                raise TaxpayerNotFound(self._tax_number)
            self._batch_count_max = min(record.batch_count_max, SUBMIT_COUNT_MAX)
            self._types = tuple(record.taxpayer.grants)
            self._link.join(self._reaches[office_of(min(self._types, default=""))])
            self._control = await self._ledger.upload_control(self._tax_number)
            await self._pacer.open(
                [
                    Window(period_s=window.period_s, call_count_max=window.call_count_max)
                    for window in in_force(record.windows, self._control.windows)
                ]
            )

    async def reload(self) -> None:
        """Read it again: it holds for the next call. Raise ``LedgerUnavailable``."""
        await self.open()
        if self._paused:
            self._link.left()
        self._stirred.set()

    async def status(self) -> UploadStatus:
        """Where the pace stands; see :class:`UploadStatus`."""
        if not self._pacer.opened:
            await self.open()
        return self._status()

    def glance(self) -> UploadStatus | None:
        """The same at once; None before the windows were read."""
        return self._status() if self._pacer.opened else None

    def _status(self) -> UploadStatus:
        now = self._clock.monotonic()
        next_call_at = max(self._pacer.next_call_at(now), self._link.silent_until)
        if self._paused:
            until = self._control.paused_until
            wait_s = math.inf if until is None else until - self._clock.now()
            next_call_at = max(next_call_at, now + wait_s)
        return UploadStatus(
            windows=self._pacer.uses(),
            share=self._pacer.share,
            next_call_at=(
                None if math.isinf(next_call_at) else self._clock.now() + next_call_at - now
            ),
            last_error=self._link.last_error,
            in_flight_count=len(self._calls),
        )

    # --- memory -------------------------------------------------------------------------

    def _begin_afresh(self) -> None:
        self._agenda = Agenda()
        self._calls: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._stopping = False

    async def _load(self) -> None:
        await self.open()
        self._conversation = Conversation(
            self._tax_number,
            ledger=self._ledger,
            authority=self._authorities.of_types(self._types),
            clock=self._clock,
            rng=self._rng,
            agenda=self._agenda,
            pacer=self._pacer,
            link=self._link,
            on_recorded=self._on_recorded,
            tracer=self._tracer,
        )
        for submission in await self._ledger.open_submissions(self._tax_number):
            await self._take_up(submission)

    async def _take_up(self, submission: Submission) -> None:
        now = self._clock.monotonic()
        if submission.state == "SUBMITTED":
            wait_s = min(max(0.0, submission.poll_at - self._clock.now()), _POLL_DELAY_S_MAX)
            self._agenda.awaited.append(
                awaited(submission, submission.acceptance_serial, now + wait_s)
            )
            return
        if submission.state == "PREPARED":
            # Left by a stream that failed: nobody knows any more whether it was sent.
            await self._ledger.mark_in_doubt(submission.submission_id)
        self._agenda.unaccepted.append(Unaccepted(submission, doubtful=True, due_at=now))

    async def _work(self) -> None:
        try:
            await self._load()
            while self._failure is None and not self._stopping and await self._step():
                pass
        finally:
            # A call under way still writes its outcome; the next run reads it from the ledger.
            await self._finish_calls()

    async def _finish_calls(self) -> None:
        if self._calls:
            await asyncio.wait(self._calls)

    # --- steps --------------------------------------------------------------------------

    async def _step(self) -> bool:
        """Do or await one thing; False when nothing is left."""
        self._stirred.clear()
        now = self._clock.monotonic()
        work, at = self._next_work(now)
        if work is None and not self._calls:
            return False
        if work is None or at > now:
            await first_of(self._stirred, at - now, self._clock)
        elif work is Work.CLAIM:
            await self._claim()
        else:
            await self._call(work)
        return True

    def _next_work(self, now: float) -> tuple[Work | None, float]:
        if len(self._calls) >= IN_FLIGHT_COUNT_MAX:
            return None, math.inf
        linger_s = self._pacer.linger_s(now)
        work, at = self._agenda.next_work(now, linger_s=linger_s, away=self._link.away)
        paused_s = silent_s(self._control, self._clock.now())
        free_at = self._pacer.next_call_at(now)
        return work, max(at, self._link.silent_until, free_at, now + paused_s)

    @property
    def _paused(self) -> bool:
        return self._control.paused_at(self._clock.now())

    async def _claim(self) -> None:
        # Cleared before the ledger is asked: a wake that comes meanwhile is not lost.
        self._agenda.fresh = False
        submission = await self._ledger.prepare_submission(
            self._tax_number,
            str(uuid4()),
            count_max=self._batch_count_max,
            now=self._clock.now(),
        )
        if submission is None:
            return
        self._agenda.fresh = True
        self._agenda.full = len(submission.items) >= self._batch_count_max
        self._agenda.unaccepted.append(
            Unaccepted(submission, doubtful=False, due_at=self._clock.monotonic())
        )

    async def _call(self, work: Work) -> None:
        permit = await self._pacer.take()
        if self._paused:  # meanwhile
            await self._pacer.answered(permit)
            return
        now = self._clock.monotonic()
        self._agenda.note_call(work, now)
        if work is Work.RESOLVE:
            call = self._conversation.resolve(self._agenda.take_unaccepted(), permit)
        else:
            call = self._conversation.poll(self._agenda.take_due(now), permit)
        self._start(call)

    def _start(self, call: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(call, name=f"upload.call {self._tax_number}")
        self._calls.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = self._failure or error
        self._stirred.set()
