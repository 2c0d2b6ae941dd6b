"""The ledger's interface: what every ledger promises, whatever database is behind it.

Rules for implementations. Every write is one transaction and durable when it returns. Locks
are taken in this order: request ids sorted, meter rows sorted, segments sorted, originals of reds
sorted. Any failure of
the database leaves as ``invoice.errors.LedgerUnavailable`` (effect unknown) and nothing is
retried from memory. Admin writes bind their request id, write their effect and their audit row
together: the same binding again answers the first effect with ``replayed``; another request
under the same id raises ``RequestIdReused`` naming the fields. With ``dry_run`` they say what
would happen, raise what would be raised, and change nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from ledger.alert_records import (
    AlertChangeRecord,
    AlertNews,
    AlertRecord,
    AlertThresholdsRecord,
    DeliveryCounts,
    DeliveryRecord,
)
from ledger.period_records import DeviceName, DeviceStatusRecord, MonthRecord, PeriodRecord
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
from ledger.survey_records import (
    AuditRecord,
    BacklogSample,
    BurnSample,
    CounterPlace,
    Replenishment,
    SurveyReading,
    ThresholdRecord,
)
from quota.offline import OfflineLimits

Targets = Callable[[AlertChangeRecord], Sequence[str]]
"""Answers the webhooks that want to hear of a change."""


class Ledger(Protocol):
    """Everything the gateway stores and reads."""

    # --- life ---------------------------------------------------------------------------

    async def start(self, worker: str, now: float) -> None:
        """Open, migrate, and enrol ``worker``.

        PREPARED submissions become IN_DOUBT and unanswered permits are answered ``now``. Permits keep
        their age whatever the wall clock was set to meanwhile; after a boot of the machine, when
        nobody knows their age, all that may still count are answered ``now``.

        Raises ``ledger.errors.LedgerError`` subclasses by name (in use, read-only, newer schema,
        not a ledger): the gateway must not start.
        """

    async def close(self) -> None:
        """Finish every write that is queued and close. Nothing is written afterwards.

        Reads that wait are not begun any more: they raise ``LedgerUnavailable``.
        """

    async def ping(self) -> None:
        """Prove that the ledger can be written; raise ``LedgerUnavailable`` otherwise.

        Once another file was seen in its place, every read and write raises it until a restart.
        """

    async def beat(self, worker: str, now: float) -> None:
        """Store that ``worker`` lives."""

    async def alive(self, worker: str, now: float) -> bool:
        """Whether the heartbeat of ``worker`` is there and younger than 3 s."""

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
        """Settle and reserve a group in one transaction: the only write of the hot path.

        Settles come first: each moves its entry from RESERVED to ISSUED with its signature,
        adds the outbox event ISSUE and the change of its meter; one that is no longer RESERVED
        answers the stored row. An item of the reserves that fails in the database fails alone.

        A reservation: known request id → its entry (``replayed``), or ``RequestIdReused`` when the
        fingerprint differs; the same id twice in one group is looked at again after the others,
        and counts as known then if the first took a number. Then, per item: ``TaxpayerNotFound``,
        ``stale`` when the taxpayer's version moved on, ``PointNotFound``, ``ClockSkew`` when
        ``now`` is more than 1,800 s behind the meter's last issue time or the end of its last closed
        month, or more than 5 s unless ``clock_trusted`` (the authority has told the time since
        start), for a red those below, what ``quota.budget`` has against it at its issue time by the
        limits in force, ``StockExhausted``, or ``IssueDeadlinePassed`` when all that is left is past
        its day; else it takes the next number of the point's segments (oldest assigned first,
        those past their day passed over), issue time ``max(int(now), last, end of the closed
        month)``, stores ``content.complete(tail, …)`` and adds 1 and |net| to the meter's un-uploaded
        count and amount. What gets no number takes nothing of the budget.

        A red, by what the ones before it in the group have left of its blue: ``RedOriginalNotFound``,
        ``RedTypeMismatch``, ``InvoiceNotReversible`` with its state, ``RedExceedsBlue``,
        ``RedNotFull``, ``RedNoticeUsed``. One that is refused, for its blue or for stock, takes
        neither a number nor anything of its blue. When it settles, its blue's state and a change
        on its blue's meter are stored with it.

        Raises ``LedgerUnavailable`` when the commit fails: every item is then unknown.
        """

    async def signing_places(
        self, *, after: tuple[str, str] = ("", ""), count_max: int
    ) -> list[SigningPlace]:
        """Where anything is RESERVED, entry or statement, in the order of (tax number, machine number).

        From the first one after ``after``. The work is that for ``count_max`` places, however much
        waits at each.
        """

    async def orphans(
        self, *, worker: str, now: float, count_max: int, place: SigningPlace | None = None
    ) -> list[Entry]:
        """RESERVED entries nobody finishes, of one place or of all, oldest first.

        Those of ``worker`` itself, and those of workers that are not ``alive``.
        """

    async def find_request(self, tenant: str, request_id: str) -> Entry | None:
        """The entry an issue request was bound to; None when no number was taken under that id.

        BLANK_VOIDED when an operator has given its number up: it will never be signed.
        """

    async def find_invoice(
        self, tenant: str, tax_number: str, code: str, number: str
    ) -> InvoiceRecord | None:
        """An invoice by name; None when there is none or it is another tenant's."""

    async def invoice_of(self, entry: Entry) -> InvoiceRecord:
        """The same for an entry at hand."""

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
        """Decide the void of an invoice and store what is to be signed (RESERVED).

        From now on reds of it and other voids are refused; it reads VOIDED once it is settled. Its
        time is ``max(int(now), last of the meter, issue time)`` and moves no meter. Returns the
        statement as it stands, and whether it was replayed.

        Raises ``InvoiceNotFound``, ``InvoiceNotVoidable`` with its cause, ``ClockSkew`` as for issuing,
        ``RequestIdReused``.
        """

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
        """Decide that a number will never be an invoice, and store what is to be signed (RESERVED).

        Either the point's next number (the one issued next, or the first that is past its day), which
        leaves its segment in this transaction, or one whose entry has been RESERVED for 60 s: that entry is BLANK_VOIDED at once and off its
        meter, a red gives back what it had taken, and a settle that comes late answers the stored row.

        Raises ``TaxpayerNotFound``, ``PointNotFound``, ``NumberNotBlank``, ``ClockSkew`` as for
        issuing, ``RequestIdReused``.
        """

    async def settle_statement(
        self, record: StatementRecord, *, signature: bytes, key_id: str, now: float
    ) -> StatementRecord:
        """Store the signature of a statement that is still RESERVED: it takes effect.

        An invoice becomes VOIDED and a voided red gives back what it had taken; the upload event
        and the changes are stored with it. Whoever comes second answers the stored statement.
        """

    async def orphan_statements(
        self, *, worker: str, now: float, count_max: int, place: SigningPlace | None = None
    ) -> list[StatementRecord]:
        """RESERVED statements nobody finishes, oldest first; whose and where is as with ``orphans``."""

    async def find_statement(self, tenant: str, request_id: str) -> StatementRecord | None:
        """The statement a void's request id stands for; None when there is none."""

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
        """One page of the invoices that fit, by issue time, or by number where a range is wanted.

        At most ``count_max`` and about ``bytes_max`` of them, at least one; a page may be shorter, or
        empty, while ``next`` is set: the work for a page does not grow with the ledger. Entries
        that wait for a signature are left out. Raises ``TaxpayerNotFound``, and ``Overloaded`` when
        too many pages are waited for, in all or of this taxpayer.
        """

    async def positions(self, tenant: str, tax_number: str, *, type: str = "") -> dict[int, int]:
        """The last change number of each meter, by meter id. Raises ``TaxpayerNotFound``."""

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
        """The next changes behind the positions ``after``; a meter not named there starts at 0.

        Each meter's changes come in their order and without a gap, those of several by time. With a
        ``point`` the others' changes are there without their record, so that positions move on. At
        most ``count_max``, and about ``bytes_max`` of invoices; none only when there is none.
        Raises ``TaxpayerNotFound``.
        """

    async def find_printed(self, code: str, number: str) -> PrintedRecord | None:
        """What is printed on the signed invoice of this number, whoever's it is."""

    async def secret(self, name: str) -> bytes:
        """A key of this ledger's own (``ledger.secrets``), 32 bytes, the same over restarts."""

    # --- taxpayers ----------------------------------------------------------------------

    async def find_binding(self, tenant: str, request_id: str) -> Binding | None:
        """What an admin request id stands for; None when it is free. Issue ids have action ``issue``."""

    async def register(
        self, record: TaxpayerRecord, binding: Binding, act: Act, *, dry_run: bool = False
    ) -> tuple[TaxpayerRecord, bool]:
        """Store a taxpayer with its devices, keys, points and meters.

        Returns the stored record and whether it was replayed. Raises ``TaxpayerExists`` when
        another request registered it, ``RequestIdReused``.
        """

    async def taxpayer(self, tenant: str, tax_number: str) -> TaxpayerRecord | None:
        """A registered taxpayer; None when there is none or it is another tenant's."""

    async def taxpayers(
        self, tenant: str, *, after: str = "", count_max: int = 100
    ) -> list[TaxpayerRecord]:
        """Registered taxpayers by tax number ascending, from the first one after ``after``."""

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
        """Devices, of one taxpayer or all, by tax number and machine number after ``after``.

        ``period`` is the month whose invoices are counted. Raises ``TaxpayerNotFound``.
        """

    async def device_status(
        self, tenant: str, name: DeviceName, *, period: str
    ) -> DeviceStatusRecord:
        """One device. Raises ``TaxpayerNotFound``, ``DeviceNotFound``."""

    async def rotate_key(
        self, name: DeviceName, key: DeviceKeyRecord, *, binding: Binding, act: Act
    ) -> bool:
        """Make ``key`` the one that a device signs with; the others stay, to verify.

        The taxpayer's version goes up, so that everything read before is stale. Returns whether it
        was replayed. Raises ``TaxpayerNotFound``, ``DeviceNotFound``, ``RequestIdReused``.
        """

    async def months(
        self, tenant: str, name: DeviceName, *, now: float, count_max: int
    ) -> list[MonthRecord]:
        """The month of ``now`` and those before, newest first, back to the registration.

        Raises ``TaxpayerNotFound``, ``DeviceNotFound``.
        """

    async def due_periods(
        self, tenant: str, *, period: str, after: tuple[str, str] = ("", ""), count_max: int
    ) -> list[tuple[DeviceName, str]]:
        """Devices after ``after`` whose open month is before ``period`` and not closed, with it."""

    async def period_closable(self, name: DeviceName, period: str, *, told_at: float) -> bool:
        """Whether ``close_period`` would close it now."""

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
        """Decide a month's figures and store what is to be signed (CLOSING).

        From now on nothing is reserved or voided in that month, nor drawn into it. ``told_at`` is
        the time by the slower of this machine's clock and the authority's. A month that has a
        summary already answers it, and the id stays free. Raises ``TaxpayerNotFound``,
        ``DeviceNotFound``, ``RequestIdReused``, ``PeriodNotClosable``.
        """

    async def sign_period(
        self, record: PeriodRecord, *, signature: bytes, key_id: str
    ) -> PeriodRecord:
        """Store the signature of a summary that has none yet; answers the stored summary."""

    async def summarise_period(
        self, record: PeriodRecord, *, summary_serial: str, now: float
    ) -> PeriodRecord:
        """SUMMARISED: the device's open month is the next one; again is the same."""

    async def open_periods(
        self, *, after: tuple[str, str] = ("", ""), count_max: int = 100
    ) -> list[PeriodRecord]:
        """Summaries that are CLOSING, as ``open_grants``."""

    # --- stock --------------------------------------------------------------------------

    async def request_grant(
        self, grant: GrantRecord, binding: Binding, act: Act, *, dry_run: bool = False
    ) -> tuple[GrantRecord, bool]:
        """Store the wish (REQUESTED) before the authority is asked.

        Raises ``TaxpayerNotFound``, ``HoldingExceeded`` when the available numbers of the type
        plus open grants plus this one would pass the maximum holding, ``InvalidRequest`` for a
        type the taxpayer is not granted. Replayed: the grant as it stands now.
        """

    async def store_grant(self, grant: GrantRecord) -> GrantRecord:
        """Store what the authority granted (GRANTED); again is the same.

        Raises ``ledger.errors.GrantOverlaps`` when its numbers overlap another grant's, do not fit
        their width, or are not those that were granted before: nothing is stored then.
        """

    async def confirm_grant(self, tenant: str, request_id: str, now: float) -> GrantRecord:
        """CONFIRMED: its numbers lie in the taxpayer's pool from now on; again is the same."""

    async def refuse_grant(self, tenant: str, request_id: str, refusal: str) -> GrantRecord:
        """REFUSED, for good: a wish by the authority, or a grant that was not confirmed.

        It no longer counts as held, and its numbers, if it has any, are free to be granted.
        """

    async def open_grants(
        self, *, after: tuple[str, str] = ("", ""), count_max: int = 100
    ) -> list[GrantRecord]:
        """Grants that are REQUESTED or GRANTED: to be asked again after a crash.

        Oldest first, from the first one after the wish ``after``, (tenant, request id).
        """

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
        """Move the ``count`` lowest numbers of the pool (oldest grant first) to a point.

        Raises ``TaxpayerNotFound``, ``PointNotFound``, ``StockExhausted`` (nothing is moved).
        Returns the point's new segments; a replay answers the same ones as they stood then.
        """

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
        """Move the ``count`` highest available numbers of a point (newest segment first) to the pool.

        There they lie by the age of their grant again, lowest first. Raises as ``assign`` does;
        ``StockExhausted`` when the point has fewer. Returns the pool's new segments.
        """

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
        """Set the ``count`` highest available numbers of a segment aside, before the authority is asked.

        From now on they are RETURNING, in a segment of their own: held, and nothing takes them.
        Raises ``TaxpayerNotFound``, ``SegmentNotFound``, ``StockExhausted``. Replayed: the return as
        it stands now.
        """

    async def store_return(
        self, tenant: str, request_id: str, return_serial: str, *, now: float
    ) -> ReturnRecord:
        """RETURNED, for good; again is the same."""

    async def refuse_return(
        self, tenant: str, request_id: str, refusal: str, *, now: float
    ) -> ReturnRecord:
        """REFUSED by the authority: the numbers are available where they were; again is the same."""

    async def open_returns(
        self, *, after: tuple[str, str] = ("", ""), count_max: int = 100
    ) -> list[ReturnRecord]:
        """Returns that are REQUESTED: to be asked again after a crash.

        Oldest first, from the first one after the wish ``after``, (tenant, request id).
        """

    async def segments(
        self, tenant: str, tax_number: str, *, after: int = 0, count_max: int = 100
    ) -> list[SegmentRecord]:
        """Segments by id ascending, from the first one after ``after``."""

    async def stock(
        self,
        tenant: str,
        tax_number: str,
        *,
        point: int | None = None,
        type: str = "",
        day: str = "",
    ) -> list[StockLevelRecord]:
        """Levels by point (pool first) and type; only one point when ``point`` is given.

        As they are on the civil ``day``; without one nothing is past its day.
        """

    # --- upload -------------------------------------------------------------------------

    async def backlogged(self) -> list[str]:
        """Tax numbers that have an event or a submission without a final answer."""

    async def prepare_submission(
        self, tax_number: str, submission_id: str, *, count_max: int, now: float
    ) -> Submission | None:
        """Claim the oldest due pending events and store them as a PREPARED submission.

        An event that was released with a smaller batch goes with at most that many. None when
        nothing is due. A red waits until the issue of its blue has its final word, and of the events
        of one blue, its reds and their voids a void waits for those before it, and those behind it
        wait for the void; so no submission holds an event and one that it depends on.
        """

    async def open_submissions(self, tax_number: str) -> list[Submission]:
        """Submissions without results, oldest first, with their items as first stored."""

    async def mark_in_doubt(self, submission_id: str) -> None:
        """The answer was lost: PREPARED → IN_DOUBT, and its events with it."""

    async def mark_submitted(
        self, submission_id: str, acceptance_serial: str, *, poll_at: float
    ) -> None:
        """The authority took it: SUBMITTED with its serial; ask for results at ``poll_at``."""

    async def postpone_poll(self, submission_id: str, *, poll_at: float) -> None:
        """Results are not there yet; ask again at ``poll_at``."""

    async def release_submission(
        self, submission_id: str, *, not_before: float, batch_count_max: int
    ) -> None:
        """The authority definitely refused the whole: its events are pending again.

        They are due at ``not_before``, 0 for at once and at most 60 s ahead (one further ahead is not
        believed, since clocks step), and go in batches of at most ``batch_count_max`` from now on. The submission is over and its id never used again.
        """

    async def record_verdicts(
        self, submission_id: str, verdicts: Sequence[EventVerdict], *, now: float
    ) -> None:
        """Store the final word on events of the submission. Idempotent.

        Each: the upload state, a change of the meter (of a void ``VOID_ACCEPTED`` and so on), and of
        an issue the meter's counters down by 1 and |net|. Accepted events leave the outbox; refused
        ones stay in it for an operator, until the void of their invoice is accepted.
        The submission is over once every event has its word.
        """

    async def add_permit(self, tax_number: str, *, sent_at: float) -> Permit:
        """Store a permit before its call is sent."""

    async def answer_permit(self, permit: Permit, *, answered_at: float) -> None:
        """Store when its call was answered or timed out."""

    async def permits(self, tax_number: str, *, answered_after: float) -> list[Permit]:
        """Permits unanswered or answered after ``answered_after``; older ones may be forgotten."""

    async def backlog(self, tenant: str, tax_number: str) -> BacklogRecord:
        """Where a taxpayer's uploads stand."""

    async def unuploaded(
        self, tenant: str, tax_number: str, *, after: int = 0, count_max: int = 100
    ) -> list[UnuploadedRecord]:
        """Events without acceptance, rejected ones included, by event id ascending."""

    async def retry_uploads(
        self,
        *,
        tax_number: str,
        invoices: Sequence[tuple[str, str]],
        binding: Binding,
        act: Act,
        dry_run: bool = False,
    ) -> tuple[int, bool]:
        """Make refused events pending again: those of ``invoices`` (code, number), or the oldest 10,000.

        An ISSUE event counts on its meter again. An event is left alone while a later one that depends on
        it, as with ``prepare_submission``, is on its way to the authority: that one could not wait for
        it any more. Returns how many, and whether it was replayed. Raises
        ``TaxpayerNotFound``, ``InvoiceNotFound``, ``InvalidRequest`` NOT_REJECTED at an invoice with
        nothing to retry.
        """

    async def upload_control(self, tax_number: str) -> UploadControlRecord:
        """What an operator has decided about a taxpayer's uploads; by default nothing."""

    async def pause_uploads(
        self,
        *,
        tax_number: str,
        until: float | None,
        binding: Binding,
        act: Act,
        dry_run: bool = False,
    ) -> tuple[UploadControlRecord, bool]:
        """Pause until a time, or until they are resumed; again moves the time.

        Raises ``TaxpayerNotFound``. Replayed, as with the next two: the control as it stands now.
        """

    async def resume_uploads(
        self, *, tax_number: str, binding: Binding, act: Act, dry_run: bool = False
    ) -> tuple[UploadControlRecord, bool]:
        """End a pause, if there is one. Raises ``TaxpayerNotFound``."""

    async def set_upload_windows(
        self,
        *,
        tax_number: str,
        windows: Sequence[RateWindow],
        binding: Binding,
        act: Act,
        dry_run: bool = False,
    ) -> tuple[UploadControlRecord, bool]:
        """Set windows that hold beside the authority's; none: the authority's alone.

        Raises ``TaxpayerNotFound``, ``InvalidRequest`` at a window of the authority's length with more
        calls than it has.
        """

    # --- offline limits -----------------------------------------------------------------

    async def set_offline_limits(
        self,
        *,
        tax_number: str,
        limits: OfflineLimits,
        binding: Binding,
        act: Act,
        dry_run: bool = False,
    ) -> tuple[OfflineLimits, bool]:
        """Lower offline limits; those that are None are the authority's own again.

        They hold from the next reservation on. Returns the limits in force. Raises
        ``TaxpayerNotFound``, ``InvalidRequest`` at a limit above the authority's.
        """

    # --- the desk -----------------------------------------------------------------------

    async def survey(self, now: float) -> SurveyReading:
        """Everything an operator watches, on one snapshot; the work does not grow with the invoices.

        ``now`` judges which numbers are past their day, and which hours of use are recent.
        """

    async def record_samples(self, samples: Sequence[BacklogSample], *, now: float) -> None:
        """Store backlogs, count what was taken since the last time towards this hour, forget what is old.

        Samples of a minute that has one already are dropped. What is taken is counted once, also over
        restarts.
        """

    async def backlog_history(
        self, tenant: str, tax_number: str, *, start: int
    ) -> list[BacklogSample]:
        """A taxpayer's samples from ``start`` (unix seconds) on, oldest first. Raises ``TaxpayerNotFound``."""

    async def burn_history(
        self, tenant: str, tax_number: str, *, start: int, count_max: int
    ) -> list[BurnSample]:
        """Numbers its points took, by hour from that of ``start`` on, oldest first.

        Of more than ``count_max`` the newest. Raises ``TaxpayerNotFound``.
        """

    async def set_stock_threshold(
        self, wanted: ThresholdRecord, *, binding: Binding, act: Act, dry_run: bool = False
    ) -> bool:
        """Set when stock is low, of one point or of all others; ``low_count`` 0 takes it away.

        Returns whether it was replayed. Raises ``TaxpayerNotFound``, ``PointNotFound``.
        """

    async def open_replenishment(
        self,
        place: CounterPlace,
        *,
        tenant: str,
        draw_request_id: str,
        assign_request_id: str,
        now: float,
    ) -> Replenishment | None:
        """Decide to fill a point up to its target, with what the pool and the maximum holding allow.

        None when it is not low any more, may not be filled up by itself, is being filled up already,
        was refused a while ago, or while neither pool nor holding has any left that is not promised to
        another point.
        """

    async def open_replenishments(self) -> list[Replenishment]:
        """Those that are OPEN, oldest first: to be carried on after a crash."""

    async def finish_replenishment(self, opened: Replenishment, act: Act) -> Replenishment:
        """Assign what is wanted as far as the pool has it, and close it DONE, in one transaction; once."""

    async def refuse_replenishment(
        self, opened: Replenishment, refusal: str, *, backs_off: bool = True, now: float
    ) -> Replenishment:
        """Close it REFUSED.

        With ``backs_off`` the point is not tried again for 10 minutes, then twice as long, up to 6 hours.
        """

    async def audit_records(
        self, tenant: str, *, parent: str, actor: str, before: int, count_max: int
    ) -> list[AuditRecord]:
        """What was done, newest first, from the last one before the id ``before`` on.

        Of the resource ``parent`` and what is under it, and of one ``actor``; ``""`` for all.
        """

    async def stock_thresholds(self, tenant: str, tax_number: str) -> list[ThresholdRecord]:
        """What was set, the taxpayer's own first, then by point and type. Raises ``TaxpayerNotFound``."""

    # --- alerts -------------------------------------------------------------------------

    async def standing_alerts(self, tenant: str) -> list[AlertRecord]:
        """Alerts that are not resolved, in the order they were raised."""

    async def store_alerts(
        self, tenant: str, news: Sequence[AlertNews], *, targets: Targets
    ) -> list[AlertChangeRecord]:
        """Store what became of alerts, each change with its deliveries, in one transaction.

        ``targets`` answers the webhooks that want to hear of a change. What was stored before is left
        out of the answer, so that the same news may be stored again after an unknown outcome.
        """

    async def acknowledge_alert(
        self, alert_id: int, *, binding: Binding, act: Act, targets: Targets, dry_run: bool = False
    ) -> tuple[AlertRecord, bool]:
        """Note who looks after an alert, and whether that was replayed.

        Raises ``AlertNotFound``, ``AlertNotOpen``.
        """

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
        """Alerts, those raised last first, from the last one before the id ``before`` on.

        With a ``tax_number`` those of the whole gateway too; ``""`` and ``""``: of all. Raises
        ``TaxpayerNotFound``.
        """

    async def alert_snapshot(self, tenant: str, tax_number: str) -> tuple[list[AlertRecord], int]:
        """What stands, and the number of the last change, as of one moment."""

    async def alert_changes(
        self, tenant: str, tax_number: str, *, after: int, count_max: int
    ) -> tuple[list[AlertChangeRecord], int]:
        """The changes behind ``after`` in their order, and up to which number there are none but these."""

    async def alert_thresholds(self, tenant: str, tax_number: str) -> AlertThresholdsRecord:
        """What was set for a taxpayer. Raises ``TaxpayerNotFound``."""

    async def all_alert_thresholds(self) -> dict[str, AlertThresholdsRecord]:
        """What was set, by tax number."""

    async def set_alert_thresholds(
        self,
        tax_number: str,
        wanted: AlertThresholdsRecord,
        *,
        binding: Binding,
        act: Act,
        dry_run: bool = False,
    ) -> bool:
        """Set a taxpayer's thresholds; whether that was replayed. Raises ``TaxpayerNotFound``."""

    async def next_delivery(self, target: str) -> DeliveryRecord | None:
        """What a webhook is to have next, whenever it is due; None when it has all."""

    async def postpone_delivery(self, delivery_id: int, *, next_at: float, error: str) -> None:
        """Note a try that failed."""

    async def end_delivery(
        self, delivery_id: int, *, delivered: bool, error: str, now: float
    ) -> None:
        """Note that it was had, or is given up."""

    async def keep_deliveries(self, targets: frozenset[str], *, now: float) -> None:
        """Give up what waits for other targets than these."""

    async def delivery_counts(self) -> DeliveryCounts:
        """How many deliveries wait."""

    # --- books --------------------------------------------------------------------------

    def check_books(self) -> Iterator[BooksProgress]:
        """Check every invariant on an own read connection and one snapshot.

        Blocking, so run it off the loop. Closing the iterator ends it. Works on a ledger that was
        not started. Raises ``LedgerUnavailable``, ``ledger.errors.NotALedger``.
        """
