"""The path of one invoice: reserve, sign, settle, answer.

One committer owns the order. Each of its rounds is one transaction that settles what has been
signed meanwhile and then reserves what has arrived meanwhile; signing runs beside it, outside any
transaction. Nothing waits for a group to fill: while one commit is under way the next group
gathers by itself.

A caller only waits for the outcome. It may hang up at any moment: the work belongs to the issuer.
A crash between reserve and settle leaves a RESERVED row with the content to be signed; the sweep
and the start of the next process finish it through the same code.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from gateway.clock import Clock
from gateway.registry import Registry
from hsm.port import Signer
from invoice import content, marks
from invoice.errors import (
    HsmUnavailable,
    InProgress,
    InvoiceError,
    LedgerUnavailable,
    Overloaded,
    ShuttingDown,
)
from invoice.lifecycle import InvoiceState
from ledger.port import Ledger
from ledger.records import Entry, GroupResult, Reservation, Reserved, Settlement

log = structlog.get_logger()

# The answer must leave before the caller's deadline, or it cannot be told apart from a loss.
DEADLINE_MARGIN_S = 0.02
# How often an entry that another gateway is signing is looked at.
_ELSEWHERE_POLL_S = 0.05
_SWEEP_S = 1.0
_SWEEP_COUNT_MAX = 1000
# A clamp of the issue time beyond this is worth an operator's look (protocol, "Reserve, sign, settle").
_CLAMP_WARNING_S = 5.0


class StaleTaxpayer(Exception):
    """The registration changed after the rules were checked: check again and come back."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A settled entry, and whether an earlier call made it."""

    entry: Entry
    replayed: bool


Waiter = asyncio.Future[Issued]


@dataclass(slots=True, eq=False)
class _Job:
    """One request id in work here.

    ``repeats`` asked for the same again meanwhile. ``followers`` ask for something else under the
    same id and are looked at once this one has ended.
    """

    reservation: Reservation | None
    entry: Entry | None = None
    replayed: bool = False
    waiters: list[Waiter] = field(default_factory=list)
    repeats: list[Waiter] = field(default_factory=list)
    followers: list[tuple[Reservation, Waiter]] = field(default_factory=list)

    def wanted(self) -> bool:
        return any(not waiter.done() for waiter in (*self.waiters, *self.repeats))


class Issuer:
    """Issues drafts. ``submit`` starts one; the future it returns may be abandoned freely.

    ``on_issued`` hears, after every commit that settled something, whose invoices they were.
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
        on_issued: Callable[[Iterable[str]], None],
    ) -> None:
        self._ledger = ledger
        self._signer = signer
        self._registry = registry
        self._clock = clock
        self._worker = worker
        self._group_count_max = group_count_max
        self._waiting_count_max = waiting_count_max
        self._on_issued = on_issued
        self._running: dict[tuple[str, str], _Job] = {}
        self._waiting: deque[_Job] = deque()
        self._signed: list[tuple[_Job, Settlement]] = []
        self._work = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._closing = False
        self._loops: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    # --- life ---------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to commit and to sweep.

        What an earlier process left behind is finished while new work is already taken.
        """
        self._loops.append(asyncio.create_task(self._commit_forever(), name="issue.commit"))
        self._loops.append(asyncio.create_task(self._sweep_forever(), name="issue.sweep"))

    async def close(self, *, grace_s: float) -> None:
        """Take no new work, finish what runs within ``grace_s``, stop.

        What is left RESERVED is finished by the next start.
        """
        self._closing = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._quiet.wait()
        for task in (*self._loops, *self._tasks):
            task.cancel()
        await asyncio.gather(*self._loops, *self._tasks, return_exceptions=True)
        for job in list(self._running.values()):
            self._fail(job, ShuttingDown("the gateway stopped; retry with the same request id"))

    # --- callers ------------------------------------------------------------------------

    def admit(self, count: int) -> None:
        """Raise ``Overloaded`` unless ``count`` more drafts may wait; all of them or none."""
        if len(self._waiting) + count > self._waiting_count_max:
            raise Overloaded(
                "too much work is waiting", retry_s=1.0, waiting_count=len(self._waiting)
            )

    def submit(self, reservation: Reservation) -> Waiter:
        """Start issuing. The future ends with the outcome, ``InvoiceError`` or ``StaleTaxpayer``."""
        waiter: Waiter = asyncio.get_running_loop().create_future()
        if self._closing:
            waiter.set_exception(ShuttingDown("the gateway is shutting down", retry_s=1.0))
        else:
            self._enqueue(reservation, waiter)
        return waiter

    def expire(self, waiters: Sequence[Waiter], remaining_s: float) -> asyncio.TimerHandle:
        """Answer IN_PROGRESS to those still waiting just before their deadline."""
        return asyncio.get_running_loop().call_later(
            max(0.0, remaining_s - DEADLINE_MARGIN_S), _give_up, waiters
        )

    def _enqueue(self, reservation: Reservation, waiter: Waiter) -> None:
        key = (reservation.tenant, reservation.request_id)
        job = self._running.get(key)
        if job is None:
            job = self._running[key] = _Job(reservation, waiters=[waiter])
            self._waiting.append(job)
            self._quiet.clear()
            self._work.set()
        elif _fingerprint(job) == reservation.fingerprint:
            job.repeats.append(waiter)
        else:
            job.followers.append((reservation, waiter))

    # --- commit -------------------------------------------------------------------------

    async def _commit_forever(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._signed or self._waiting:
                await self._commit()

    async def _commit(self) -> None:
        """One group: settle what is signed, reserve what has arrived, hand out the outcome."""
        signed, self._signed = self._signed, []
        room = min(self._group_count_max, len(self._waiting))
        arrived = [self._waiting.popleft() for _ in range(room)]
        try:
            result = await self._ledger.commit(
                [settlement for _, settlement in signed],
                [job.reservation for job in arrived if job.reservation is not None],
                worker=self._worker,
                now=self._clock.now(),
            )
        except LedgerUnavailable as error:
            self._fail_all((*(job for job, _ in signed), *arrived), error)
        except Exception as error:
            log.exception("issue.bug")
            self._fail_all((*(job for job, _ in signed), *arrived), error)
        else:
            self._hand_out([job for job, _ in signed], arrived, result)

    def _hand_out(self, signed: list[_Job], arrived: list[_Job], result: GroupResult) -> None:
        if result.clamped_s > _CLAMP_WARNING_S:
            log.warning("clock.clamped", clamped_s=round(result.clamped_s, 3))
        for job, entry in zip(signed, result.settled, strict=True):
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

    def _reserved(self, job: _Job, reserved: Reserved) -> bool:
        """Take note of one reservation's outcome; True when it must be signed now."""
        if reserved.error is not None:
            self._fail(job, reserved.error)
        elif reserved.stale or reserved.entry is None:
            self._fail(job, StaleTaxpayer())
        elif reserved.entry.state is not InvoiceState.RESERVED:
            job.replayed = True
            self._succeed(job, reserved.entry)
        elif reserved.replayed and reserved.entry.worker != self._worker:
            job.replayed = True
            self._spawn(self._await_elsewhere(job))
        else:
            # Ours: taken just now, or left behind when an earlier try could not be signed.
            job.entry, job.replayed = reserved.entry, reserved.replayed
            return True
        return False

    async def _await_elsewhere(self, job: _Job) -> None:
        """Another gateway holds the entry: look until it is settled or nobody waits any more."""
        reservation = job.reservation
        assert reservation is not None
        while job.wanted():
            await self._clock.sleep(_ELSEWHERE_POLL_S)
            try:
                entry = await self._ledger.find_request(reservation.tenant, reservation.request_id)
            except LedgerUnavailable as error:
                self._fail(job, error)
                return
            if entry is not None and entry.state is not InvoiceState.RESERVED:
                self._succeed(job, entry)
                return
        self._fail(job, in_progress(reservation.request_id))

    # --- sign ---------------------------------------------------------------------------

    async def _sign_group(self, jobs: list[_Job]) -> None:
        """Sign reserved entries, one call to the device per key."""
        by_device: dict[tuple[str, str, str], list[tuple[_Job, Entry]]] = {}
        for job in jobs:
            if (entry := job.entry) is not None:
                place = (entry.tenant, entry.tax_number, entry.machine_number)
                by_device.setdefault(place, []).append((job, entry))
        if len(by_device) == 1:
            await self._sign(*next(iter(by_device.items())))
        else:
            await asyncio.gather(*(self._sign(*item) for item in by_device.items()))

    async def _sign(self, place: tuple[str, str, str], pairs: list[tuple[_Job, Entry]]) -> None:
        try:
            key = await self._registry.signing_key(*place)
            signatures = await self._signer.sign(
                key, [content.digest(content.INVOICE_TAG, entry.content) for _, entry in pairs]
            )
        except InvoiceError as error:
            # The numbers are ours for good, so whatever stopped us, the effect is unknown.
            failure = error if isinstance(error, HsmUnavailable) else _cannot_sign(error)
            log.warning("sign.failed", count=len(pairs), reason=error.reason)
            self._fail_all((job for job, _ in pairs), failure)
        except Exception as error:
            log.exception("issue.bug")
            self._fail_all((job for job, _ in pairs), error)
        else:
            log.debug("sign.done", count=len(pairs), key_id=key.key_id)
            self._signed.extend(
                (job, _settlement(entry, signature, key.key_id))
                for (job, entry), signature in zip(pairs, signatures, strict=True)
            )
            self._work.set()

    # --- sweep --------------------------------------------------------------------------

    async def _sweep_forever(self) -> None:
        while True:
            try:
                await self._sweep()
            except LedgerUnavailable as error:
                log.warning("sweep.failed", reason=error.reason)
            except Exception:
                log.exception("sweep.bug")
            await self._clock.sleep(_SWEEP_S)

    async def _sweep(self) -> None:
        """Finish RESERVED entries that nobody finishes: a dead worker's, or our own after a fault."""
        if self._closing:
            return
        now = self._clock.now()
        await self._ledger.beat(self._worker, now)
        # What is in work before the look is settled by its own job, perhaps during the look.
        before = set(self._running)
        orphans = await self._ledger.orphans(
            worker=self._worker, now=now, count_max=_SWEEP_COUNT_MAX
        )
        left = [entry for entry in orphans if (entry.tenant, entry.request_id) not in before]
        jobs = [job for entry in left if (job := await self._adopt(entry)) is not None]
        if jobs:
            log.info("sweep.adopted", count=len(jobs))
            await self._sign_group(jobs)

    async def _adopt(self, entry: Entry) -> _Job | None:
        """Make a job of an orphan, unless it is in work here or its device is away."""
        try:
            key = await self._registry.signing_key(
                entry.tenant, entry.tax_number, entry.machine_number
            )
        except InvoiceError as error:
            log.warning("sweep.left", number=entry.number, code=entry.code, reason=error.reason)
            return None
        # Looked up last: nothing may await between here and the insertion.
        place = (entry.tenant, entry.request_id)
        if place in self._running or not self._signer.available(key.key_id):
            return None
        job = self._running[place] = _Job(None, entry=entry, replayed=True)
        self._quiet.clear()
        return job

    # --- outcomes -----------------------------------------------------------------------

    def _succeed(self, job: _Job, entry: Entry) -> None:
        for waiter in job.waiters:
            if not waiter.done():
                waiter.set_result(Issued(entry, job.replayed))
        for waiter in job.repeats:
            if not waiter.done():
                waiter.set_result(Issued(entry, replayed=True))
        self._end(job, (entry.tenant, entry.request_id))

    def _fail_all(self, jobs: Iterable[_Job], error: Exception) -> None:
        for job in jobs:
            self._fail(job, error)

    def _fail(self, job: _Job, error: Exception) -> None:
        for waiter in (*job.waiters, *job.repeats):
            if not waiter.done():
                waiter.set_exception(error)
        known = job.reservation or job.entry
        assert known is not None
        self._end(job, (known.tenant, known.request_id))

    def _end(self, job: _Job, key: tuple[str, str]) -> None:
        del self._running[key]
        for reservation, waiter in job.followers:
            if not waiter.done():
                self._enqueue(reservation, waiter)
        if not self._running:
            self._quiet.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _fingerprint(job: _Job) -> bytes:
    known = job.reservation or job.entry
    assert known is not None
    return known.fingerprint


def _settlement(entry: Entry, signature: bytes, key_id: str) -> Settlement:
    return Settlement(
        entry=entry,
        signature=signature,
        key_id=key_id,
        check_code=marks.check_code(signature, entry.type),
        fiscal_code=marks.fiscal_code(signature),
    )


def _cannot_sign(error: InvoiceError) -> HsmUnavailable:
    return HsmUnavailable(f"the number is taken, signing must wait: {error.message}", retry_s=1.0)


def in_progress(request_id: str) -> InProgress:
    """The answer while a number is taken and its signature is not there yet."""
    return InProgress(
        "its number is taken and its signature is not there yet",
        retry_s=0.2,
        request_id=request_id,
    )


def _give_up(waiters: Sequence[Waiter]) -> None:
    error = InProgress("still being issued; retry with the same request id", retry_s=0.2)
    for waiter in waiters:
        if not waiter.done():
            waiter.set_exception(error)
