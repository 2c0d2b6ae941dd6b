"""The path of a void or blank void: reserve, sign, verify, settle. Rare, so each goes by itself.

A caller only waits for the outcome, as with an invoice: what runs belongs to a task of its own, one
for each request id. What a dead process has decided is signed by the sweep through the same code.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import structlog

from gateway.clock import Clock
from gateway.deadline import Deadline
from gateway.job import Key
from gateway.registry import Registry
from gateway.tracing.port import Tracer, began_ns
from hsm.port import DeviceKey, Signer
from hsm.verify import verify
from invoice import content
from invoice.errors import HsmUnavailable, InProgress, InvoiceError, Overloaded, ShuttingDown
from ledger.port import Ledger
from ledger.records import Binding, StatementRecord

log = structlog.get_logger()

# An operator voids a handful a day. Each holds its content and a task.
_RUNNING_COUNT_MAX = 256


class Reserve(Protocol):
    """Decides a statement in the ledger."""

    def __call__(self, *, dry_run: bool) -> Awaitable[tuple[StatementRecord, bool]]:
        """Answer the statement as it stands, and whether it was replayed."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A statement that is asked for.

    ``closed`` raises why none may be decided right now; what was decided before is answered all
    the same.
    """

    binding: Binding
    closed: Callable[[], Awaitable[None]]
    reserve: Reserve


@dataclass(frozen=True, slots=True)
class Stated:
    """A statement, with the algorithm it was signed with; ``""`` when it was not signed."""

    record: StatementRecord
    algorithm: str
    replayed: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """The work on one request id. ``binding`` is None for an orphan."""

    binding: Binding | None
    task: asyncio.Task[Stated]


class Statements:
    """Makes statements. ``on_settled`` hears whose invoices each one was about."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        signer: Signer,
        registry: Registry,
        clock: Clock,
        on_settled: Callable[[Iterable[str]], None],
        tracer: Tracer | None = None,
    ) -> None:
        self._tracer = tracer
        self._ledger = ledger
        self._signer = signer
        self._registry = registry
        self._clock = clock
        self._on_settled = on_settled
        self._running: dict[Key, _Job] = {}
        self._closing = False

    async def close(self, *, grace_s: float) -> None:
        """Take no new wishes, finish what runs within ``grace_s``, stop.

        What is left RESERVED is finished by the next start.
        """
        self._closing = True
        tasks = [job.task for job in self._running.values()]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=grace_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def preview(self, wish: Wish) -> Stated:
        """What the wish would lead to. Raises what it would raise, and changes nothing."""
        await self._check(wish)
        return await self._stated(*await wish.reserve(dry_run=True))

    async def state(self, wish: Wish, deadline: Deadline) -> Stated:
        """Return the signed statement of a wish, the same one however often it is asked for.

        Raises:
            InProgress: The deadline is near, and it is decided or about to be.
        """
        key = wish.binding.tenant, wish.binding.request_id
        joined = False
        while True:
            job = self._running.get(key)
            if job is None:
                job = self._begin(key, wish.binding, self._made(wish))
            else:
                joined = job.binding == wish.binding
            await asyncio.wait([job.task], timeout=deadline.left_s())
            if not job.task.done() or job.task.cancelled():
                raise _in_progress(wish.binding.request_id)
            if job.binding == wish.binding:
                stated = job.task.result()
                return replace(stated, replayed=stated.replayed or joined)
            # Another request under the same id, or an orphan, has ended: the ledger knows now.

    def busy(self) -> set[Key]:
        """The ids in work here."""
        return set(self._running)

    async def finish(self, orphans: Iterable[StatementRecord]) -> int:
        """Sign and settle statements that nobody finishes; return how many that were.

        Those whose device is away are left.
        """
        tasks = []
        for record in orphans:
            key = record.tenant, record.request_id
            if key in self._running or not await self._signable(record):
                continue
            if self._refusal() is not None:
                break
            if key not in self._running:  # looked at again, since a caller may have come meanwhile
                tasks.append(self._begin(key, None, self._finished(record, replayed=True)).task)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        return sum(isinstance(outcome, Stated) for outcome in outcomes)

    # --- the steps ----------------------------------------------------------------------

    async def _made(self, wish: Wish) -> Stated:
        await self._check(wish)
        record, replayed = await wish.reserve(dry_run=False)
        return await self._finished(record, replayed=replayed)

    async def _check(self, wish: Wish) -> None:
        """Raise what is in the way, unless the id is bound already: then the ledger answers."""
        try:
            await wish.closed()
        except InvoiceError:
            binding = wish.binding
            if await self._ledger.find_binding(binding.tenant, binding.request_id) is None:
                raise

    async def _finished(self, record: StatementRecord, *, replayed: bool) -> Stated:
        """From wherever a statement stands to its end. The decision stands, whatever fails here."""
        if record.signature is None:
            # The task began in that of the call, so the call's trace is current here too.
            traceparent = None if self._tracer is None else self._tracer.current()
            key = await self._key(record)
            began = time.perf_counter()
            digest = content.digest(record.kind.tag, record.content)
            (signature,) = await self._signer.sign(key, [digest])
            if not verify(key.public_key, key.algorithm, digest, signature):
                raise HsmUnavailable("the device returned a wrong signature", retry_s=1.0)
            self._trace("statement.sign", traceparent, began)
            began = time.perf_counter()
            record = await self._ledger.settle_statement(
                replace(record, traceparent=traceparent),
                signature=signature,
                key_id=key.key_id,
                now=self._clock.now(),
            )
            self._trace("statement.settle", traceparent, began)
            log.info("statement.settled", kind=record.kind, code=record.code, number=record.number)
            self._on_settled((record.tax_number,))
        return await self._stated(record, replayed)

    def _trace(self, name: str, traceparent: str | None, began: float) -> None:
        if self._tracer is not None and traceparent is not None:
            self._tracer.step(name, [traceparent], began_ns=began_ns(began))

    async def _key(self, record: StatementRecord) -> DeviceKey:
        try:
            return await self._registry.signing_key(
                record.tenant, record.tax_number, record.machine_number
            )
        except InvoiceError as error:
            # Decided it is, so the effect is unknown and a retry with the same id the advice.
            raise HsmUnavailable(
                f"decided, signing must wait: {error.message}", retry_s=1.0
            ) from error

    async def _signable(self, record: StatementRecord) -> bool:
        try:
            return self._signer.available((await self._key(record)).key_id)
        except HsmUnavailable:
            return False

    async def _stated(self, record: StatementRecord, replayed: bool) -> Stated:  # noqa: FBT001 - as the ledger answers it
        algorithm = ""
        if record.signature is not None:
            algorithm = await self._registry.algorithm(
                record.tenant, record.tax_number, record.key_id
            )
        return Stated(record, algorithm, replayed)

    # --- the tasks ----------------------------------------------------------------------

    def _begin(self, key: Key, binding: Binding | None, work: Coroutine[Any, Any, Stated]) -> _Job:
        refusal = self._refusal()
        if refusal is not None:
            work.close()
            raise refusal
        job = self._running[key] = _Job(binding, asyncio.create_task(work))
        job.task.add_done_callback(lambda done: self._ended(key, done))
        return job

    def _refusal(self) -> InvoiceError | None:
        if self._closing:
            return ShuttingDown("the gateway is shutting down", retry_s=1.0)
        count = len(self._running)
        if count >= _RUNNING_COUNT_MAX:
            return Overloaded("too many voids are in work", retry_s=1.0, waiting_count=count)
        return None

    def _ended(self, key: Key, done: asyncio.Task[Stated]) -> None:
        del self._running[key]
        # Looked at here, since the caller that would have seen the failure may have hung up.
        error = None if done.cancelled() else done.exception()
        if isinstance(error, InvoiceError):
            log.info("statement.failed", request_id=key[1], reason=error.reason)
        elif error is not None:
            log.error("statement.bug", exc_info=error)


def _in_progress(request_id: str) -> InProgress:
    return InProgress(
        "the void is decided or about to be, and its signature is not there yet",
        retry_s=0.2,
        request_id=request_id,
    )
