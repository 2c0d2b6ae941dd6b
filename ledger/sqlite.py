"""The ledger on SQLite: one file, one writing thread, two reading threads, one process.

Each method says only where its work runs; the work itself is in the module named after it, and
the promises are those of ``ledger.port.Ledger``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import apsw

from ledger import (
    alerts,
    assignments,
    audit,
    backlog,
    bindings,
    blank_voids,
    books,
    changes,
    deliveries,
    devices,
    grants,
    listing,
    offline_control,
    periods,
    permits,
    printed,
    recalls,
    replenishments,
    retries,
    returns,
    rows,
    sampling,
    secrets,
    segments,
    statements,
    survey,
    taxpayers,
    thresholds,
    upload_control,
    uploads,
    voids,
    waiting,
    workers,
)
from ledger.alert_records import (
    AlertChangeRecord,
    AlertNews,
    AlertRecord,
    AlertThresholdsRecord,
    DeliveryCounts,
    DeliveryRecord,
)
from ledger.database import Database, Reader, Work
from ledger.group import Group
from ledger.lane import Lane
from ledger.migrate import Migration, shipped
from ledger.opening import Connect
from ledger.period_records import DeviceName, DeviceStatusRecord, MonthRecord, PeriodRecord
from ledger.port import Targets
from ledger.queries import (
    ChangeRecord,
    InvoiceFilter,
    InvoicePage,
    ListPosition,
    PrintedRecord,
)
from ledger.records import (
    Act,
    BacklogRecord,
    Binding,
    BooksProgress,
    DeviceKeyRecord,
    Entry,
    EventVerdict,
    GrantRecord,
    GroupResult,
    InvoiceRecord,
    Permit,
    RateWindow,
    Reservation,
    ReturnRecord,
    SegmentRecord,
    Settlement,
    SigningPlace,
    StatementRecord,
    StockLevelRecord,
    Submission,
    TaxpayerRecord,
    UnuploadedRecord,
    UploadControlRecord,
)
from ledger.secrets import Secrets
from ledger.state import StoreState, state_of
from ledger.survey_records import (
    AuditRecord,
    BacklogSample,
    BurnSample,
    CounterPlace,
    Replenishment,
    SurveyReading,
    ThresholdRecord,
)
from ledger.turns import Turns
from ledger.verdicts import record_verdicts
from quota.offline import OfflineLimits

T = TypeVar("T")


class SqliteLedger:
    """Implements ``ledger.port.Ledger`` on the file ``path``.

    ``verify(public_key, algorithm, digest, signature)`` judges signatures when the books are
    checked; what it cannot read it may answer with ValueError. ``connect`` makes connections,
    ``steps`` are the migrations, ``boot`` tells the machine's time: other than usual only in tests.
    ``on_commit`` hears, on the writing thread, how many seconds each commit took.
    """

    def __init__(
        self,
        path: Path,
        *,
        verify: books.Verify,
        connect: Connect = apsw.Connection,
        steps: tuple[Migration, ...] | None = None,
        boot: Callable[[], permits.Boot] = permits.this_boot,
        on_commit: Callable[[float], None] | None = None,
    ) -> None:
        self._path = path
        self._verify = verify
        self._connect = connect
        self._boot = boot
        self._secrets = Secrets()
        self._database = Database(
            path, connect, shipped() if steps is None else steps, on_commit=on_commit
        )
        self._reader = Reader(path, connect, self._database.place)
        self._writing = Lane("ledger-write", idle=self._database.rest)
        self._reading = Lane("ledger-read", finishes_all=False)
        # Lists and watches read much at a time: what issuing waits for does not queue behind them.
        self._browser = Reader(path, connect, self._database.place)
        self._browsing = Lane("ledger-browse", finishes_all=False)
        self._turns = Turns()
        self._burns = survey.Burns()

    # --- life ---------------------------------------------------------------------------

    async def start(self, worker: str, now: float) -> None:
        """See the port. No other worker can live beside this one, so all others are dead."""
        # Read beside ``now``: opening may take a while.
        boot = self._boot()
        self._writing.start()
        self._reading.start()
        self._browsing.start()
        try:
            await self._writing.run(partial(self._database.open, now))
            await self._write(partial(workers.start, worker=worker, now=now, boot=boot))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """See the port."""
        await self._browsing.stop(self._browser.close)
        await self._reading.stop(self._reader.close)
        await self._writing.stop(self._database.close)

    async def ping(self) -> None:
        """See the port."""
        await self._write(workers.touch)

    def state(self) -> StoreState:
        """Sizes and the writer's queue. From any thread; ``OSError`` when the folder is gone."""
        return state_of(self._path, waiting_count=self._writing.waiting_count)

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
            settlements,
            reservations,
            worker=worker,
            now=now,
            clock_trusted=clock_trusted,
            secrets=self._secrets,
        )
        return await self._writing.run(partial(group.commit, self._database))

    async def alive(self, worker: str, now: float) -> bool:
        """See the port."""
        return await self._read(partial(workers.alive, worker=worker, now=now))

    async def signing_places(
        self, *, after: tuple[str, str] = ("", ""), count_max: int
    ) -> list[SigningPlace]:
        """See the port."""
        return await self._read(lambda c: waiting.places(c, after, count_max))

    async def orphans(
        self, *, worker: str, now: float, count_max: int, place: SigningPlace | None = None
    ) -> list[Entry]:
        """See the port."""
        return await self._read(
            partial(rows.orphans, worker=worker, now=now, count_max=count_max, place=place)
        )

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

    # --- voids --------------------------------------------------------------------------

    async def reserve_void(
        self,
        *,
        tax_number: str,
        code: str,
        number: str,
        reason: str,
        binding: Binding,
        act: Act,
        worker: str,
        now: float,
        clock_trusted: bool = True,
        dry_run: bool = False,
    ) -> tuple[StatementRecord, bool]:
        """See the port."""
        work = partial(
            voids.reserve_void,
            tax_number=tax_number,
            code=code,
            number=number,
            reason=reason,
            binding=binding,
            act=act,
            worker=worker,
            now=now,
            clock_trusted=clock_trusted,
        )
        return await self._write(work, keep=not dry_run)

    async def reserve_blank_void(
        self,
        *,
        tax_number: str,
        point: int,
        type: str,
        code: str,
        number: str,
        reason: str,
        binding: Binding,
        act: Act,
        worker: str,
        now: float,
        clock_trusted: bool = True,
        dry_run: bool = False,
    ) -> tuple[StatementRecord, bool]:
        """See the port."""
        work = partial(
            blank_voids.reserve_blank_void,
            tax_number=tax_number,
            point=point,
            type_code=type,
            code=code,
            number=number,
            reason=reason,
            binding=binding,
            act=act,
            worker=worker,
            now=now,
            clock_trusted=clock_trusted,
        )
        return await self._write(work, keep=not dry_run)

    async def settle_statement(
        self, record: StatementRecord, *, signature: bytes, key_id: str, now: float
    ) -> StatementRecord:
        """See the port."""
        return await self._write(
            lambda c: statements.settle(c, record, signature=signature, key_id=key_id, now=now)
        )

    async def orphan_statements(
        self, *, worker: str, now: float, count_max: int, place: SigningPlace | None = None
    ) -> list[StatementRecord]:
        """See the port."""
        return await self._read(
            partial(statements.orphans, worker=worker, now=now, count_max=count_max, place=place)
        )

    async def find_statement(self, tenant: str, request_id: str) -> StatementRecord | None:
        """See the port."""
        return await self._read(lambda c: statements.find_statement(c, tenant, request_id))

    # --- lists, watches and strangers ---------------------------------------------------

    async def list_invoices(
        self,
        tenant: str,
        wanted: InvoiceFilter,
        *,
        after: ListPosition | None = None,
        count_max: int,
        bytes_max: int,
        newest_first: bool = False,
    ) -> InvoicePage:
        """See the port."""
        work = partial(
            listing.list_invoices,
            tenant=tenant,
            wanted=wanted,
            after=after,
            count_max=count_max,
            bytes_max=bytes_max,
            newest_first=newest_first,
        )
        async with self._turns.for_list(wanted.tax_number):
            return await self._browse(work)

    async def positions(self, tenant: str, tax_number: str, *, type: str = "") -> dict[int, int]:
        """See the port."""
        async with self._turns.for_watch(tax_number):
            return await self._browse(lambda c: changes.positions(c, tenant, tax_number, type))

    async def changes(
        self,
        tenant: str,
        tax_number: str,
        *,
        after: Mapping[int, int],
        type: str = "",
        point: int | None = None,
        count_max: int,
        bytes_max: int,
    ) -> list[ChangeRecord]:
        """See the port."""
        work = partial(
            changes.changes,
            tenant=tenant,
            tax_number=tax_number,
            after=after,
            type_code=type,
            point=point,
            count_max=count_max,
            bytes_max=bytes_max,
        )
        async with self._turns.for_watch(tax_number):
            return await self._browse(work)

    async def find_printed(self, code: str, number: str) -> PrintedRecord | None:
        """See the port."""
        return await self._read(lambda c: printed.find_printed(c, code, number))

    async def secret(self, name: str) -> bytes:
        """See the port."""
        return await self._read(lambda c: secrets.secret(c, name))

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

    # --- devices and months -------------------------------------------------------------

    async def device_statuses(
        self,
        tenant: str,
        tax_number: str = "",
        *,
        after: tuple[str, str] = ("", ""),
        period: str,
        count_max: int = 100,
    ) -> list[DeviceStatusRecord]:
        """See the port."""
        work = partial(
            devices.device_statuses,
            tenant=tenant,
            tax_number=tax_number,
            after=after,
            period=period,
            count_max=count_max,
        )
        return await self._read(work)

    async def device_status(
        self, tenant: str, name: DeviceName, *, period: str
    ) -> DeviceStatusRecord:
        """See the port."""
        return await self._read(lambda c: devices.device_status(c, tenant, name, period=period))

    async def rotate_key(
        self, name: DeviceName, key: DeviceKeyRecord, *, binding: Binding, act: Act
    ) -> bool:
        """See the port."""
        return await self._write(lambda c: devices.rotate_key(c, name, key, binding, act))

    async def months(
        self, tenant: str, name: DeviceName, *, now: float, count_max: int
    ) -> list[MonthRecord]:
        """See the port."""
        return await self._read(lambda c: periods.months_of(c, tenant, name, now, count_max))

    async def due_periods(
        self, tenant: str, *, period: str, after: tuple[str, str] = ("", ""), count_max: int
    ) -> list[tuple[DeviceName, str]]:
        """See the port."""
        return await self._read(
            lambda c: periods.due_periods(
                c, tenant, period=period, after=after, count_max=count_max
            )
        )

    async def period_closable(self, name: DeviceName, period: str, *, told_at: float) -> bool:
        """See the port."""
        return await self._read(lambda c: periods.obstacle_of(c, name, period, told_at) is None)

    async def close_period(
        self,
        name: DeviceName,
        period: str,
        *,
        authority_request_id: str,
        worker: str,
        told_at: float,
        binding: Binding,
        act: Act,
        dry_run: bool = False,
    ) -> tuple[PeriodRecord, bool]:
        """See the port."""
        wish = periods.Wish(name, period, authority_request_id, worker, told_at)
        return await self._write(
            lambda c: periods.close_period(c, wish, binding, act), keep=not dry_run
        )

    async def sign_period(
        self, record: PeriodRecord, *, signature: bytes, key_id: str
    ) -> PeriodRecord:
        """See the port."""
        return await self._write(
            lambda c: periods.sign_period(c, record, signature=signature, key_id=key_id)
        )

    async def summarise_period(
        self, record: PeriodRecord, *, summary_serial: str, now: float
    ) -> PeriodRecord:
        """See the port."""
        return await self._write(
            lambda c: periods.summarise(c, record, summary_serial=summary_serial, now=now)
        )

    async def open_periods(
        self, *, after: tuple[str, str] = ("", ""), count_max: int = 100
    ) -> list[PeriodRecord]:
        """See the port."""
        return await self._read(lambda c: periods.open_periods(c, after, count_max))

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

    async def open_grants(
        self, *, after: tuple[str, str] = ("", ""), count_max: int = 100
    ) -> list[GrantRecord]:
        """See the port."""
        return await self._read(lambda c: grants.open_grants(c, after, count_max))

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

    async def recall(
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
            recalls.recall,
            tax_number=tax_number,
            point=point,
            type_code=type,
            count=count,
            binding=binding,
            act=act,
        )
        return await self._write(work, keep=not dry_run)

    async def request_return(
        self,
        *,
        tax_number: str,
        segment_id: int,
        count: int,
        authority_request_id: str,
        binding: Binding,
        act: Act,
        dry_run: bool = False,
    ) -> tuple[ReturnRecord, bool]:
        """See the port."""
        work = partial(
            returns.request_return,
            tax_number=tax_number,
            segment_id=segment_id,
            count=count,
            authority_request_id=authority_request_id,
            binding=binding,
            act=act,
        )
        return await self._write(work, keep=not dry_run)

    async def store_return(
        self, tenant: str, request_id: str, return_serial: str, *, now: float
    ) -> ReturnRecord:
        """See the port."""
        return await self._write(
            lambda c: returns.store_return(c, tenant, request_id, return_serial, now)
        )

    async def refuse_return(
        self, tenant: str, request_id: str, refusal: str, *, now: float
    ) -> ReturnRecord:
        """See the port."""
        return await self._write(
            lambda c: returns.refuse_return(c, tenant, request_id, refusal, now)
        )

    async def open_returns(
        self, *, after: tuple[str, str] = ("", ""), count_max: int = 100
    ) -> list[ReturnRecord]:
        """See the port."""
        return await self._read(lambda c: returns.open_returns(c, after, count_max))

    async def segments(
        self, tenant: str, tax_number: str, *, after: int = 0, count_max: int = 100
    ) -> list[SegmentRecord]:
        """See the port."""
        return await self._read(lambda c: segments.listed(c, tenant, tax_number, after, count_max))

    async def stock(
        self,
        tenant: str,
        tax_number: str,
        *,
        point: int | None = None,
        type: str = "",
        day: str = "",
    ) -> list[StockLevelRecord]:
        """See the port."""
        work = partial(
            segments.levels,
            tenant=tenant,
            tax_number=tax_number,
            point=point,
            type_code=type,
            day=day,
        )
        return await self._read(work)

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

    async def retry_uploads(
        self,
        *,
        tax_number: str,
        invoices: Sequence[tuple[str, str]],
        binding: Binding,
        act: Act,
        dry_run: bool = False,
    ) -> tuple[int, bool]:
        """See the port."""
        work = partial(
            retries.retry, tax_number=tax_number, invoices=invoices, binding=binding, act=act
        )
        return await self._write(work, keep=not dry_run)

    async def set_offline_limits(
        self,
        *,
        tax_number: str,
        limits: OfflineLimits,
        binding: Binding,
        act: Act,
        dry_run: bool = False,
    ) -> tuple[OfflineLimits, bool]:
        """See the port."""
        work = partial(
            offline_control.set_limits,
            tax_number=tax_number,
            limits=limits,
            binding=binding,
            act=act,
        )
        return await self._write(work, keep=not dry_run)

    async def upload_control(self, tax_number: str) -> UploadControlRecord:
        """See the port."""
        return await self._read(lambda c: upload_control.find(c, tax_number))

    async def pause_uploads(
        self,
        *,
        tax_number: str,
        until: float | None,
        binding: Binding,
        act: Act,
        dry_run: bool = False,
    ) -> tuple[UploadControlRecord, bool]:
        """See the port."""
        work = partial(
            upload_control.pause, tax_number=tax_number, until=until, binding=binding, act=act
        )
        return await self._write(work, keep=not dry_run)

    async def resume_uploads(
        self, *, tax_number: str, binding: Binding, act: Act, dry_run: bool = False
    ) -> tuple[UploadControlRecord, bool]:
        """See the port."""
        work = partial(upload_control.resume, tax_number=tax_number, binding=binding, act=act)
        return await self._write(work, keep=not dry_run)

    async def set_upload_windows(
        self,
        *,
        tax_number: str,
        windows: Sequence[RateWindow],
        binding: Binding,
        act: Act,
        dry_run: bool = False,
    ) -> tuple[UploadControlRecord, bool]:
        """See the port."""
        work = partial(
            upload_control.set_windows,
            tax_number=tax_number,
            windows=windows,
            binding=binding,
            act=act,
        )
        return await self._write(work, keep=not dry_run)

    # --- the desk -----------------------------------------------------------------------

    async def survey(self, now: float) -> SurveyReading:
        """See the port."""
        return await self._browse(lambda c: survey.survey(c, now, self._burns))

    async def record_samples(self, samples: Sequence[BacklogSample], *, now: float) -> None:
        """See the port."""
        await self._write(lambda c: sampling.record_samples(c, samples, now))

    async def backlog_history(
        self, tenant: str, tax_number: str, *, start: int
    ) -> list[BacklogSample]:
        """See the port."""
        return await self._browse(lambda c: sampling.backlog_history(c, tenant, tax_number, start))

    async def burn_history(
        self, tenant: str, tax_number: str, *, start: int, count_max: int
    ) -> list[BurnSample]:
        """See the port."""
        return await self._browse(
            lambda c: sampling.burn_history(c, tenant, tax_number, start, count_max)
        )

    async def set_stock_threshold(
        self, wanted: ThresholdRecord, *, binding: Binding, act: Act, dry_run: bool = False
    ) -> bool:
        """See the port."""
        return await self._write(
            lambda c: thresholds.set_threshold(c, wanted, binding, act), keep=not dry_run
        )

    async def open_replenishment(
        self,
        place: CounterPlace,
        *,
        tenant: str,
        draw_request_id: str,
        assign_request_id: str,
        now: float,
    ) -> Replenishment | None:
        """See the port."""
        # Asked of a reader first: points that stay low cost the writer nothing at each look.
        decide = partial(replenishments.decide, place=place, tenant=tenant, now=now)
        if await self._read(decide) is None:
            return None
        work = partial(
            replenishments.open_replenishment,
            place=place,
            tenant=tenant,
            draw_request_id=draw_request_id,
            assign_request_id=assign_request_id,
            now=now,
        )
        return await self._write(work)

    async def open_replenishments(self) -> list[Replenishment]:
        """See the port."""
        return await self._read(replenishments.open_replenishments)

    async def finish_replenishment(self, opened: Replenishment, act: Act) -> Replenishment:
        """See the port."""
        return await self._write(lambda c: replenishments.finish(c, opened, act))

    async def refuse_replenishment(
        self, opened: Replenishment, refusal: str, *, backs_off: bool = True, now: float
    ) -> Replenishment:
        """See the port."""
        work = partial(
            replenishments.refuse, opened=opened, refusal=refusal, backs_off=backs_off, now=now
        )
        return await self._write(work)

    async def audit_records(
        self, tenant: str, *, parent: str, actor: str, before: int, count_max: int
    ) -> list[AuditRecord]:
        """See the port."""
        work = partial(
            audit.records,
            tenant=tenant,
            parent=parent,
            actor=actor,
            before=before,
            count_max=count_max,
        )
        return await self._browse(work)

    async def stock_thresholds(self, tenant: str, tax_number: str) -> list[ThresholdRecord]:
        """See the port."""
        return await self._read(lambda c: thresholds.thresholds(c, tenant, tax_number))

    # --- alerts -------------------------------------------------------------------------

    async def standing_alerts(self, tenant: str) -> list[AlertRecord]:
        """See the port."""
        return await self._read(lambda c: alerts.standing(c, tenant))

    async def store_alerts(
        self, tenant: str, news: Sequence[AlertNews], *, targets: Targets
    ) -> list[AlertChangeRecord]:
        """See the port."""
        return await self._write(lambda c: alerts.store(c, tenant, news, targets))

    async def acknowledge_alert(
        self, alert_id: int, *, binding: Binding, act: Act, targets: Targets, dry_run: bool = False
    ) -> tuple[AlertRecord, bool]:
        """See the port."""
        return await self._write(
            lambda c: alerts.acknowledge(c, alert_id, binding, act, targets), keep=not dry_run
        )

    async def alerts(
        self,
        tenant: str,
        *,
        tax_number: str,
        kind: str,
        standing_only: bool,
        before: int,
        count_max: int,
    ) -> list[AlertRecord]:
        """See the port."""
        work = partial(
            alerts.listed,
            tenant=tenant,
            tax_number=tax_number,
            kind=kind,
            standing_only=standing_only,
            before=before,
            count_max=count_max,
        )
        return await self._browse(work)

    async def alert_snapshot(self, tenant: str, tax_number: str) -> tuple[list[AlertRecord], int]:
        """See the port."""
        return await self._browse(lambda c: alerts.snapshot(c, tenant, tax_number))

    async def alert_changes(
        self, tenant: str, tax_number: str, *, after: int, count_max: int
    ) -> tuple[list[AlertChangeRecord], int]:
        """See the port."""
        return await self._browse(lambda c: alerts.changes(c, tenant, tax_number, after, count_max))

    async def alert_thresholds(self, tenant: str, tax_number: str) -> AlertThresholdsRecord:
        """See the port."""
        return await self._read(lambda c: alerts.thresholds(c, tenant, tax_number))

    async def all_alert_thresholds(self) -> dict[str, AlertThresholdsRecord]:
        """See the port."""
        return await self._read(alerts.all_thresholds)

    async def set_alert_thresholds(
        self,
        tax_number: str,
        wanted: AlertThresholdsRecord,
        *,
        binding: Binding,
        act: Act,
        dry_run: bool = False,
    ) -> bool:
        """See the port."""
        return await self._write(
            lambda c: alerts.set_thresholds(c, tax_number, wanted, binding, act), keep=not dry_run
        )

    async def next_delivery(self, target: str) -> DeliveryRecord | None:
        """See the port."""
        return await self._read(lambda c: deliveries.next_delivery(c, target))

    async def postpone_delivery(self, delivery_id: int, *, next_at: float, error: str) -> None:
        """See the port."""
        await self._write(
            lambda c: deliveries.postpone(c, delivery_id, next_at=next_at, error=error)
        )

    async def end_delivery(
        self, delivery_id: int, *, delivered: bool, error: str, now: float
    ) -> None:
        """See the port."""
        work = partial(
            deliveries.end, delivery_id=delivery_id, delivered=delivered, error=error, now=now
        )
        await self._write(work)

    async def keep_deliveries(self, targets: frozenset[str], *, now: float) -> None:
        """See the port."""
        await self._write(lambda c: deliveries.keep_only(c, targets, now))

    async def delivery_counts(self) -> DeliveryCounts:
        """See the port."""
        return await self._read(deliveries.counts)

    # --- books --------------------------------------------------------------------------

    def check_books(self) -> Iterator[BooksProgress]:
        """See the port. Needs no started ledger: a doctor checks one that cannot start."""
        self._database.place.check()
        return books.check_books(self._path, self._verify, self._connect)

    async def _write(self, work: Work[T], *, keep: bool = True) -> T:
        return await self._writing.run(partial(self._database.write, work, keep=keep))

    async def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        return await self._reading.run(partial(self._reader.read, work))

    async def _browse(self, work: Callable[[apsw.Connection], T]) -> T:
        return await self._browsing.run(partial(self._browser.read, work))
