"""The ledger on SQLite: one file, one writing thread, one reading thread, one process.

Each method says only where its work runs; the work itself is in the module named after it, and
the promises are those of ``ledger.port.Ledger``.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import apsw

from ledger import (
    assignments,
    backlog,
    bindings,
    books,
    grants,
    permits,
    rows,
    segments,
    taxpayers,
    uploads,
    workers,
)
from ledger.database import Database, Reader, Work
from ledger.group import Group
from ledger.lane import Lane
from ledger.migrate import Migration, shipped
from ledger.opening import Connect
from ledger.records import (
    Act,
    BacklogRecord,
    Binding,
    BooksProgress,
    Entry,
    EventVerdict,
    GrantRecord,
    GroupResult,
    InvoiceRecord,
    Permit,
    Reservation,
    SegmentRecord,
    Settlement,
    StockLevelRecord,
    Submission,
    TaxpayerRecord,
    UnuploadedRecord,
)
from ledger.verdicts import record_verdicts

T = TypeVar("T")


class SqliteLedger:
    """Implements ``ledger.port.Ledger`` on the file ``path``.

    ``verify(public_key, algorithm, digest, signature)`` judges signatures when the books are
    checked; what it cannot read it may answer with ValueError. ``connect`` makes connections,
    ``steps`` are the migrations, ``boot`` tells the machine's time: other than usual only in tests.
    """

    def __init__(
        self,
        path: Path,
        *,
        verify: books.Verify,
        connect: Connect = apsw.Connection,
        steps: tuple[Migration, ...] | None = None,
        boot: Callable[[], permits.Boot] = permits.this_boot,
    ) -> None:
        self._path = path
        self._verify = verify
        self._connect = connect
        self._boot = boot
        self._database = Database(path, connect, shipped() if steps is None else steps)
        self._reader = Reader(path, connect, self._database.place)
        self._writing = Lane("ledger-write", idle=self._database.rest)
        self._reading = Lane("ledger-read")

    # --- life ---------------------------------------------------------------------------

    async def start(self, worker: str, now: float) -> None:
        """See the port. No other worker can live beside this one, so all others are dead."""
        # Read beside ``now``: opening may take a while.
        boot = self._boot()
        self._writing.start()
        self._reading.start()
        try:
            await self._writing.run(partial(self._database.open, now))
            await self._write(partial(workers.start, worker=worker, now=now, boot=boot))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """See the port."""
        await self._reading.stop(self._reader.close)
        await self._writing.stop(self._database.close)

    async def ping(self) -> None:
        """See the port."""
        await self._write(workers.touch)

    async def beat(self, worker: str, now: float) -> None:
        """See the port."""
        await self._write(partial(workers.beat, worker=worker, now=now))

    # --- the path of an invoice ---------------------------------------------------------

    async def commit(
        self,
        settlements: Sequence[Settlement],
        reservations: Sequence[Reservation],
        *,
        worker: str,
        now: float,
        clock_trusted: bool = True,
    ) -> GroupResult:
        """See the port."""
        group = Group(
            settlements, reservations, worker=worker, now=now, clock_trusted=clock_trusted
        )
        return await self._writing.run(partial(group.commit, self._database))

    async def orphans(self, *, worker: str, now: float, count_max: int) -> list[Entry]:
        """See the port."""
        return await self._read(partial(rows.orphans, worker=worker, now=now, count_max=count_max))

    async def find_request(self, tenant: str, request_id: str) -> Entry | None:
        """See the port."""
        return await self._read(lambda c: rows.entry_by_request(c, tenant, request_id))

    async def find_invoice(
        self, tenant: str, tax_number: str, code: str, number: str
    ) -> InvoiceRecord | None:
        """See the port."""

        def find(connection: apsw.Connection) -> InvoiceRecord | None:
            entry = rows.entry_by_number(connection, tax_number, code, number)
            if entry is None or entry.tenant != tenant:
                return None
            return backlog.with_upload(connection, entry)

        return await self._read(find)

    async def invoice_of(self, entry: Entry) -> InvoiceRecord:
        """See the port."""
        return await self._read(lambda c: backlog.with_upload(c, entry))

    # --- taxpayers ----------------------------------------------------------------------

    async def find_binding(self, tenant: str, request_id: str) -> Binding | None:
        """See the port."""
        return await self._read(lambda c: bindings.find_binding(c, tenant, request_id))

    async def register(
        self, record: TaxpayerRecord, binding: Binding, act: Act, *, dry_run: bool = False
    ) -> tuple[TaxpayerRecord, bool]:
        """See the port."""
        return await self._write(
            lambda c: taxpayers.register(c, record, binding, act), keep=not dry_run
        )

    async def taxpayer(self, tenant: str, tax_number: str) -> TaxpayerRecord | None:
        """See the port."""
        return await self._read(lambda c: taxpayers.find_taxpayer(c, tenant, tax_number))

    async def taxpayers(
        self, tenant: str, *, after: str = "", count_max: int = 100
    ) -> list[TaxpayerRecord]:
        """See the port."""
        return await self._read(lambda c: taxpayers.page(c, tenant, after, count_max))

    # --- stock --------------------------------------------------------------------------

    async def request_grant(
        self, grant: GrantRecord, binding: Binding, act: Act, *, dry_run: bool = False
    ) -> tuple[GrantRecord, bool]:
        """See the port."""
        return await self._write(
            lambda c: grants.request_grant(c, grant, binding, act), keep=not dry_run
        )

    async def store_grant(self, grant: GrantRecord) -> GrantRecord:
        """See the port."""
        return await self._write(lambda c: grants.store_grant(c, grant))

    async def confirm_grant(self, tenant: str, request_id: str, now: float) -> GrantRecord:
        """See the port."""
        return await self._write(lambda c: grants.confirm_grant(c, tenant, request_id, now))

    async def refuse_grant(self, tenant: str, request_id: str, refusal: str) -> GrantRecord:
        """See the port."""
        return await self._write(lambda c: grants.refuse_grant(c, tenant, request_id, refusal))

    async def open_grants(self, *, count_max: int = 100) -> list[GrantRecord]:
        """See the port."""
        return await self._read(lambda c: grants.open_grants(c, count_max))

    async def assign(
        self,
        *,
        tax_number: str,
        point: int,
        type: str,
        count: int,
        binding: Binding,
        act: Act,
        dry_run: bool = False,
    ) -> tuple[list[SegmentRecord], bool]:
        """See the port."""
        work = partial(
            assignments.assign,
            tax_number=tax_number,
            point=point,
            type_code=type,
            count=count,
            binding=binding,
            act=act,
        )
        return await self._write(work, keep=not dry_run)

    async def segments(
        self, tenant: str, tax_number: str, *, after: int = 0, count_max: int = 100
    ) -> list[SegmentRecord]:
        """See the port."""
        return await self._read(lambda c: segments.listed(c, tenant, tax_number, after, count_max))

    async def stock(
        self, tenant: str, tax_number: str, *, point: int | None = None, type: str = ""
    ) -> list[StockLevelRecord]:
        """See the port."""
        return await self._read(lambda c: segments.levels(c, tenant, tax_number, point, type))

    # --- upload -------------------------------------------------------------------------

    async def backlogged(self) -> list[str]:
        """See the port."""
        return await self._read(uploads.backlogged)

    async def prepare_submission(
        self, tax_number: str, submission_id: str, *, count_max: int, now: float
    ) -> Submission | None:
        """See the port. What is sent is read by the reading thread: the writer only claims."""
        claimed = await self._write(
            lambda c: uploads.claim(c, tax_number, submission_id, count_max, now)
        )
        if not claimed:
            return None
        return await self._read(lambda c: uploads.find_submission(c, submission_id))

    async def open_submissions(self, tax_number: str) -> list[Submission]:
        """See the port."""
        return await self._read(lambda c: uploads.open_submissions(c, tax_number))

    async def mark_in_doubt(self, submission_id: str) -> None:
        """See the port."""
        await self._write(lambda c: uploads.move(c, submission_id, "IN_DOUBT"))

    async def mark_submitted(
        self, submission_id: str, acceptance_serial: str, *, poll_at: float
    ) -> None:
        """See the port."""
        await self._write(
            partial(
                uploads.move,
                submission_id=submission_id,
                state="SUBMITTED",
                acceptance_serial=acceptance_serial,
                poll_at=poll_at,
            )
        )

    async def postpone_poll(self, submission_id: str, *, poll_at: float) -> None:
        """See the port."""
        await self._write(lambda c: uploads.postpone(c, submission_id, poll_at))

    async def release_submission(
        self, submission_id: str, *, not_before: float, batch_count_max: int
    ) -> None:
        """See the port."""
        await self._write(lambda c: uploads.release(c, submission_id, not_before, batch_count_max))

    async def record_verdicts(
        self, submission_id: str, verdicts: Sequence[EventVerdict], *, now: float
    ) -> None:
        """See the port."""
        await self._write(lambda c: record_verdicts(c, submission_id, verdicts, now))

    async def add_permit(self, tax_number: str, *, sent_at: float) -> Permit:
        """See the port."""
        return await self._write(lambda c: permits.add(c, tax_number, sent_at))

    async def answer_permit(self, permit: Permit, *, answered_at: float) -> None:
        """See the port."""
        await self._write(lambda c: permits.answer(c, permit, answered_at))

    async def permits(self, tax_number: str, *, answered_after: float) -> list[Permit]:
        """See the port."""
        return await self._read(lambda c: permits.counting(c, tax_number, answered_after))

    async def backlog(self, tenant: str, tax_number: str) -> BacklogRecord:
        """See the port."""
        return await self._read(lambda c: backlog.backlog(c, tenant, tax_number))

    async def unuploaded(
        self, tenant: str, tax_number: str, *, after: int = 0, count_max: int = 100
    ) -> list[UnuploadedRecord]:
        """See the port."""
        return await self._read(
            lambda c: backlog.unuploaded(c, tenant, tax_number, after, count_max)
        )

    # --- books --------------------------------------------------------------------------

    def check_books(self) -> Iterator[BooksProgress]:
        """See the port. Needs no started ledger: a doctor checks one that cannot start."""
        self._database.place.check()
        return books.check_books(self._path, self._verify, self._connect)

    async def _write(self, work: Work[T], *, keep: bool = True) -> T:
        return await self._writing.run(partial(self._database.write, work, keep=keep))

    async def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        return await self._reading.run(partial(self._reader.read, work))
