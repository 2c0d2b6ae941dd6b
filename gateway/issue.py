"""The path of one invoice: reserve, sign, settle, answer.

One committer owns the order. Each of its rounds is one transaction that settles what has been
signed meanwhile and then reserves what has arrived meanwhile; signing runs beside it, outside any
transaction. While one commit is under way the next group gathers by itself; under load it also
waits for what is at the device, milliseconds at most. Whoever is alone waits for nobody.

A caller only waits for the outcome. It may hang up at any moment: the work belongs to the issuer.
A crash between reserve and settle leaves a RESERVED row with the content to be signed; the sweep
finishes it through the same code.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

import structlog

from gateway.admission import Admission
from gateway.clock import Clock
from gateway.job import Job, Key, StaleTaxpayer, Waiter, give_up, in_progress
from gateway.metrics.measures import Measures, add_one
from gateway.registry import Registry
from gateway.throughput import Throughput
from gateway.tracing.port import Tracer, began_ns
from hsm.port import Signer
from invoice import content, marks
from invoice.errors import (
    HsmUnavailable,
    InvoiceError,
    LedgerUnavailable,
    NumberBlankVoided,
    ShuttingDown,
)
from invoice.lifecycle import InvoiceState
from ledger.port import Ledger
from ledger.records import Entry, GroupResult, Reservation, Reserved, Settlement

log = structlog.get_logger()

# How often an entry that another gateway is signing is looked at.
_ELSEWHERE_POLL_S = 0.05
# A clamp of the issue time beyond this is worth an operator's look.
_CLAMP_WARNING_S = 5.0

# A commit costs as much as thirty invoices in it. With so many in work it waits for those at the
# device, a moment for each, since those that arrive meanwhile come along too.
_GATHER_FROM = 8
_GATHER_S = 0.0001
_GATHER_S_MAX = 0.006

_Place = tuple[str, str, str]
"""(tenant, tax number, machine number): what one key signs for."""


class Issuer:
    """Issues drafts. ``submit`` starts one; the future it returns may be abandoned freely.

    ``on_issued`` hears, after every commit that settled something, whose invoices they were.
    ``clock_trusted`` says whether the authority of these types has told the time since the start.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        signer: Signer,
        registry: Registry,
        clock: Clock,
        worker: str,
        group_count_max: int,
        waiting_count_max: int,
        wait_s_max: float,
        on_issued: Callable[[Iterable[str]], None],
        clock_trusted: Callable[[Iterable[str]], bool],
        measures: Measures | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._tracer = tracer
        self._measures = measures or Measures()
        self._ledger = ledger
        self._signer = signer
        self._registry = registry
        self._clock = clock
        self._worker = worker
        self._group_count_max = group_count_max
        self._on_issued = on_issued
        self._clock_trusted = clock_trusted
        self._running: dict[Key, Job] = {}
        self._waiting: deque[Job] = deque()
        self._signed: list[tuple[Job, Settlement]] = []
        self._follower_count = 0
        self._throughput = Throughput(clock.monotonic)
        self.admission = Admission(
            count_max=waiting_count_max,
            in_work=self._in_work,
            throughput=self._throughput,
            wait_s_max=wait_s_max,
        )
        self._work = asyncio.Event()
        self._gathered = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._closing = False
        self._committer: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[object]] = set()

    # --- life ---------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to commit."""
        self._committer = asyncio.create_task(self._commit_forever(), name="issue.commit")

    async def close(self, *, grace_s: float) -> None:
        """Take no new work, finish what runs within ``grace_s``, stop.

        What is left RESERVED is finished by the next start, and its callers are told to ask again.
        """
        self._closing = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._quiet.wait()
        tasks = [*self._tasks, *([self._committer] if self._committer else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        unheard = set(self._waiting)
        for job in list(self._running.values()):
            # Whatever has been handed to the ledger may have taken effect.
            known = job not in unheard
            self._fail(job, in_progress(job.key[1]) if known else _shutting_down())

    # --- callers ------------------------------------------------------------------------

    def submit(self, reservation: Reservation) -> Waiter:
        """Start issuing. The future ends with the outcome, ``InvoiceError`` or ``StaleTaxpayer``."""
        waiter: Waiter = asyncio.get_running_loop().create_future()
        if self._closing:
            waiter.set_exception(_shutting_down())
            return waiter
        job = self._running.get((reservation.tenant, reservation.request_id))
        if job is None:
            traceparent = None if self._tracer is None else self._tracer.current()
            self._begin(Job(reservation, waiters=[waiter], traceparent=traceparent))
        else:
            job.join(reservation, waiter)
            self._follower_count += 1
            waiter.add_done_callback(self._follower_ended)
        return waiter

    def expire(self, waiters: Sequence[Waiter], at: float) -> asyncio.TimerHandle:
        """Answer IN_PROGRESS to those of ``waiters`` still waiting at ``at`` on the loop's clock."""
        return asyncio.get_running_loop().call_at(at, give_up, waiters)

    def _begin(self, job: Job) -> None:
        self._running[job.key] = job
        self._waiting.append(job)
        self._quiet.clear()
        self._arrived()

    def _follower_ended(self, _: Waiter) -> None:
        self._follower_count -= 1
        self.admission.freed()

    @property
    def waiting_count(self) -> int:
        """Requests that no transaction has taken yet."""
        return len(self._waiting)

    @property
    def in_work_count(self) -> int:
        """Requests between their arrival and their outcome, callers that joined one included."""
        return self._in_work()

    def _in_work(self) -> int:
        return len(self._running) + self._follower_count

    # --- orphans ------------------------------------------------------------------------

    def busy(self) -> set[Key]:
        """The ids in work here. One that only looks how another process ends it is not."""
        return {key for key, job in self._running.items() if not job.elsewhere}

    async def finish(self, orphans: Iterable[Entry]) -> int:
        """Sign and settle entries that nobody finishes; return how many could be signed.

        Entries whose device is away are left. A caller that waits for such an entry is answered.
        """
        jobs = [job for entry in orphans if (job := await self._adopt(entry)) is not None]
        return await self._sign_group(jobs)

    async def _adopt(self, entry: Entry) -> Job | None:
        try:
            key = await self._registry.signing_key(
                entry.tenant, entry.tax_number, entry.machine_number
            )
        except InvoiceError:
            return None
        # Looked up last: nothing may await between here and the insertion.
        job = self._running.get((entry.tenant, entry.request_id))
        if self._closing or not self._signer.available(key.key_id):
            return None
        if job is None:
            job = Job(None, entry=entry, replayed=True)
            self._running[job.key] = job
            self._quiet.clear()
            return job
        if not job.elsewhere:
            return None
        job.entry, job.elsewhere = entry, False  # its poll ends; its callers hear from us
        return job

    # --- commit -------------------------------------------------------------------------

    async def _commit_forever(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._signed or self._waiting:
                await self._gather()
                await self._commit()

    async def _gather(self) -> None:
        """Let a group grow while others are at the device, for at most ``_GATHER_S_MAX``."""
        running = len(self._running)
        if running < _GATHER_FROM or self._here() >= min(running, self._group_count_max):
            return
        self._gathered.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(_GATHER_S_MAX, running * _GATHER_S)):
                await self._gathered.wait()

    def _here(self) -> int:
        return len(self._signed) + len(self._waiting)

    def _arrived(self) -> None:
        """Something is to be committed."""
        self._work.set()
        if self._here() >= min(len(self._running), self._group_count_max):
            self._gathered.set()

    async def _commit(self) -> None:
        """One group: settle what is signed, reserve what has arrived, hand out the outcome."""
        signed, self._signed = self._signed, []
        room = min(self._group_count_max, len(self._waiting))
        arrived = [self._waiting.popleft() for _ in range(room)]
        wanted = [job.reservation for job in arrived if job.reservation is not None]
        began = time.perf_counter()
        try:
            result = await self._ledger.commit(
                [settlement for _, settlement in signed],
                wanted,
                worker=self._worker,
                now=self._clock.now(),
                clock_trusted=self._clock_trusted({one.type for one in wanted}),
            )
            self._measures.committed(len(signed) + len(arrived), time.perf_counter() - began)
            self._trace("invoice.settle", [job for job, _ in signed], began)
            self._trace("invoice.reserve", arrived, began)
            self._hand_out([job for job, _ in signed], arrived, result)
        except LedgerUnavailable as error:
            self._fail_all((*(job for job, _ in signed), *arrived), error)
        except Exception as error:  # a bug ends its group and not the committer
            log.exception("issue.bug")
            self._fail_all((*(job for job, _ in signed), *arrived), error)

    def _hand_out(self, signed: list[Job], arrived: list[Job], result: GroupResult) -> None:
        if result.clamped_s > _CLAMP_WARNING_S:
            log.warning("clock.clamped", clamped_s=round(result.clamped_s, 3))
            self._measures.clamped = (self._clock.now(), result.clamped_s)
        for job, entry in zip(signed, result.settled, strict=True):
            add_one(self._measures.issued, entry.type)
            self._succeed(job, entry)
        fresh = [
            job
            for job, reserved in zip(arrived, result.reserved, strict=True)
            if self._reserved(job, reserved)
        ]
        if fresh:
            self._spawn(self._sign_group(fresh))
        if signed:
            log.debug("settle.done", count=len(signed))
            self._on_issued({entry.tax_number for entry in result.settled})

    def _reserved(self, job: Job, reserved: Reserved) -> bool:
        """Take note of one reservation's outcome; True when it must be signed now."""
        if reserved.error is not None:
            self._fail(job, reserved.error)
        elif reserved.stale or reserved.entry is None:
            self._fail(job, StaleTaxpayer())
        elif reserved.entry.state is not InvoiceState.RESERVED:
            job.replayed = True
            self._succeed(job, reserved.entry)
        elif reserved.replayed and reserved.entry.worker != self._worker:
            job.replayed = job.elsewhere = True
            self._spawn(self._await_elsewhere(job))
        else:
            # Ours: taken just now, or left behind when an earlier try could not be signed.
            job.entry, job.replayed = reserved.entry, reserved.replayed
            return True
        return False

    async def _await_elsewhere(self, job: Job) -> None:
        """Another gateway holds the entry: look until it is settled, ours, or wanted no more."""
        while job.elsewhere and job.wanted():
            try:
                entry = await self._ledger.find_request(*job.key)
                dead = entry is not None and not await self._lives(entry.worker)
            except LedgerUnavailable as error:
                self._fail(job, error)
                return
            if entry is not None and entry.state is not InvoiceState.RESERVED:
                self._succeed(job, entry)
                return
            if entry is not None and dead and await self.finish([entry]):
                return
            await self._clock.sleep(_ELSEWHERE_POLL_S)
        if job.elsewhere:
            self._fail(job, in_progress(job.key[1]))

    async def _lives(self, worker: str) -> bool:
        return await self._ledger.alive(worker, self._clock.now())

    # --- sign ---------------------------------------------------------------------------

    async def _sign_group(self, jobs: list[Job]) -> int:
        """Sign reserved entries, one call to the device per key; return how many were signed."""
        by_place: dict[_Place, list[tuple[Job, Entry]]] = {}
        for job in jobs:
            if (entry := job.entry) is not None:
                place = (entry.tenant, entry.tax_number, entry.machine_number)
                by_place.setdefault(place, []).append((job, entry))
        if len(by_place) == 1:  # the usual case, without tasks for it
            return await self._sign(*next(iter(by_place.items())))
        return sum(await asyncio.gather(*(self._sign(*item) for item in by_place.items())))

    async def _sign(self, place: _Place, pairs: list[tuple[Job, Entry]]) -> int:
        began = time.perf_counter()
        try:
            key = await self._registry.signing_key(*place)
            signatures = await self._signer.sign(
                key, [content.digest(content.INVOICE_TAG, entry.content) for _, entry in pairs]
            )
        except InvoiceError as error:
            # The numbers are ours for good, so whatever stopped us, the effect is unknown.
            failure = error if isinstance(error, HsmUnavailable) else _cannot_sign(error)
            log.warning("sign.failed", count=len(pairs), cause=error.message)
            self._fail_all((job for job, _ in pairs), failure)
            return 0
        except Exception as error:
            log.exception("issue.bug")
            self._fail_all((job for job, _ in pairs), error)
            return 0
        self._measures.signed(len(pairs), time.perf_counter() - began)
        self._trace("invoice.sign", [job for job, _ in pairs], began)
        log.debug("sign.done", count=len(pairs), key_id=key.key_id)
        self._signed.extend(
            (job, _settlement(entry, signature, key.key_id, job.traceparent))
            for (job, entry), signature in zip(pairs, signatures, strict=True)
        )
        self._arrived()
        return len(pairs)

    # --- outcomes -----------------------------------------------------------------------

    def _succeed(self, job: Job, entry: Entry) -> None:
        if entry.state is InvoiceState.BLANK_VOIDED:
            self._fail(job, NumberBlankVoided(entry.request_id, entry.code, entry.number))
        elif self._end(job):
            job.succeed(entry)

    def _fail_all(self, jobs: Iterable[Job], error: Exception) -> None:
        for job in jobs:
            self._fail(job, error)

    def _fail(self, job: Job, error: Exception) -> None:
        if not self._end(job):
            return
        job.fail(error)
        if (follower := job.next()) is None:
            return
        if self._closing:
            for waiter in (*follower.waiters, *(waiter for _, waiter in follower.followers)):
                if not waiter.done():
                    waiter.set_exception(_shutting_down())
        else:
            self._begin(follower)

    def _end(self, job: Job) -> bool:
        """Take a job out of work; False when it had ended already."""
        if self._running.get(job.key) is not job:
            return False
        del self._running[job.key]
        if not self._running:
            self._quiet.set()
        self._throughput.ended(self._in_work())
        self.admission.freed()
        return True

    def _trace(self, name: str, jobs: Iterable[Job], began: float) -> None:
        """Tell of a step that ``jobs`` took together and that began at ``began`` of ``perf_counter``."""
        if self._tracer is None:
            return
        traced = [job.traceparent for job in jobs if job.traceparent is not None]
        if traced:
            self._tracer.step(name, traced, began_ns=began_ns(began))

    def _spawn(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _settlement(entry: Entry, signature: bytes, key_id: str, traceparent: str | None) -> Settlement:
    return Settlement(
        entry=entry,
        signature=signature,
        key_id=key_id,
        check_code=marks.check_code(signature, entry.type),
        fiscal_code=marks.fiscal_code(signature, entry.type),
        traceparent=traceparent,
    )


def _cannot_sign(error: InvoiceError) -> HsmUnavailable:
    return HsmUnavailable(f"the number is taken, signing must wait: {error.message}", retry_s=1.0)


def _shutting_down() -> ShuttingDown:
    return ShuttingDown("the gateway is shutting down", retry_s=1.0)
