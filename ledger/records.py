"""What goes into the ledger and what comes out of it. Plain data; no SQL, no wire types.

Times are unix seconds (float where it is an instant, int where it is an issue time); money is
integer fen; numbers are text. ``tenant`` is ``"default"`` until identity exists.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from invoice.document import Kind, Taxpayer
from invoice.errors import InvoiceError
from invoice.lifecycle import InvoiceState, UploadState
from invoice.rates import RateSum
from invoice.statements import StatementKind
from quota.offline import NO_LIMITS, MeterState, OfflineLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class RateWindow:
    """At most ``call_count_max`` upload calls of one taxpayer in any ``period_s`` seconds."""

    period_s: float
    call_count_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKeyRecord:
    """One certified key of a device. ``active`` marks the one that signs now.

    ``activated_at`` is when it became that; None where that was before it was noted.
    """

    key_id: str
    label: str
    algorithm: str
    public_key: bytes
    certificate: bytes
    active: bool = True
    activated_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRecord:
    """A tax-control device (税控设备): logical, shared by all gateways.

    ``kind`` is new-server, legacy …
    """

    machine_number: str
    kind: str
    keys: tuple[DeviceKeyRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PointRecord:
    """An issuing point (开票点). ``organisation`` is its parent in the seller's own tree, or ``""``."""

    point: int
    machine_number: str
    organisation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxpayerRecord:
    """A registered taxpayer, whole. ``offline_limits`` are as granted; ``lowered_limits`` an operator's."""

    tenant: str
    taxpayer: Taxpayer
    points: tuple[PointRecord, ...]
    devices: tuple[DeviceRecord, ...]
    holding_count_max: Mapping[str, int]
    offline_limits: OfflineLimits
    windows: tuple[RateWindow, ...]
    batch_count_max: int = 100
    registered_at: float = 0.0
    lowered_limits: OfflineLimits = NO_LIMITS

    @property
    def limits_in_force(self) -> OfflineLimits:
        """The authority's offline limits, or an operator's where they are lower."""
        return self.offline_limits.lowered(self.lowered_limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A request id and what it stands for; stored in the transaction that takes effect.

    ``request`` is canonical JSON (sorted keys) of what was asked, so that a different request
    under the same id can be answered with the fields that differ.
    """

    tenant: str
    request_id: str
    action: str
    request: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Who did an admin write, and why: one audit row."""

    actor: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginalRef:
    """The blue invoice a red one names. ``code`` is ``""`` for a digital one."""

    code: str
    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """One draft that wants a number.

    ``tail`` is ``invoice.content.tail`` of it and ``fingerprint`` the SHA-256 of the tail; rules
    were checked at ``taxpayer_version``. A red has an ``original``, and what it states beside it.
    ``bulk`` gives way to others where little is left of an offline limit. ``rates`` are what its lines
    add up to, for the month's totals.
    """

    tenant: str
    request_id: str
    fingerprint: bytes
    tax_number: str
    taxpayer_version: int
    point: int
    type: str
    kind: Kind
    net_fen: int
    tax_fen: int
    tail: bytes
    original: OriginalRef | None = None
    red_notice_number: str = ""
    buyer_tax_number: str = ""
    bulk: bool = False
    rates: tuple[RateSum, ...] = ()


@dataclass(slots=True, kw_only=True)
class Entry:
    """One number that was taken, and what became of it (a row of ``invoice``).

    ``signature`` is None while the state is RESERVED, and so are the marks. ``worker`` is the
    process that reserved it. ``content_key_id`` is ``""`` while content is stored in the clear.
    BLANK_VOIDED it never gets a signature; when its number was voided before anybody took it, its
    content is ``b""`` and its ``request_id`` is that of the blank void.
    """

    tenant: str
    request_id: str
    fingerprint: bytes
    tax_number: str
    machine_number: str
    point: int
    type: str
    kind: Kind
    code: str
    number: str
    issue_time: int
    net_fen: int
    tax_fen: int
    content: bytes
    state: InvoiceState
    worker: str
    reserved_at: float
    content_key_id: str = ""
    signature: bytes | None = None
    key_id: str = ""
    check_code: str = ""
    fiscal_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The signature of one reserved entry, with the marks derived from it.

    ``traceparent`` is kept with its event; None unless the call that asked for it is traced.
    """

    entry: Entry
    signature: bytes
    key_id: str
    check_code: str
    fiscal_code: str
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """What became of one reservation.

    ``entry`` is the entry of its request id: fresh (``replayed`` False, RESERVED), or the one
    an earlier call made (``replayed`` True, any state). ``stale`` asks the caller to read the
    taxpayer again, apply the rules again and come back. Otherwise ``error`` says why not;
    nothing was stored then.
    """

    entry: Entry | None = None
    replayed: bool = False
    stale: bool = False
    error: InvoiceError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupResult:
    """The outcome of one group commit, in the order given.

    ``settled`` are the stored rows: who loses a race answers the stored row, never its own
    signature. ``clamped_s`` is by how much the clock was behind the last issue time, at most.
    """

    settled: Sequence[Entry]
    reserved: Sequence[Reserved]
    clamped_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRecord:
    """A void or blank void (a row of ``statement``): RESERVED, then SETTLED with its signature.

    Decided when it is reserved, in effect once it is settled. ``request_id`` is that of the void.
    ``statement_time`` is unix seconds; ``signature`` is over ``kind.tag`` and ``content``.
    ``traceparent`` is on its way to its event: to be settled with, never read.
    """

    tenant: str
    request_id: str
    kind: StatementKind
    tax_number: str
    machine_number: str
    point: int
    type: str
    code: str
    number: str
    statement_time: int
    content: bytes
    state: str
    worker: str
    reserved_at: float
    signature: bytes | None = None
    key_id: str = ""
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceRecord:
    """An entry with the state of its upload, as GetInvoice answers it.

    The upload is that of its last event: of the statement that voided it, when that is settled,
    else of its issue. ``statement`` is None until it is settled. ``reversed_net_fen`` and
    ``reversed_tax_fen`` are what issued reds have taken of a blue; ``original`` is the blue of a red.
    """

    entry: Entry
    upload_state: UploadState
    rejection: str
    acceptance_serial: str
    certificate: bytes
    algorithm: str
    statement: StatementRecord | None = None
    statement_certificate: bytes = b""
    statement_algorithm: str = ""
    reversed_net_fen: int = 0
    reversed_tax_fen: int = 0
    original: OriginalRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRecord:
    """A grant as the ledger follows it: REQUESTED → GRANTED → CONFIRMED, or REFUSED.

    Code, prefix, width, first and the authority's ``grant_id`` are empty until GRANTED.
    ``request_id`` is the admin's; ``authority_request_id`` is the one the authority is asked
    with, made once and stored before the first try.
    """

    tenant: str
    request_id: str
    authority_request_id: str
    tax_number: str
    type: str
    count: int
    state: str
    grant_id: str = ""
    code: str = ""
    prefix: str = ""
    width: int = 0
    first: int = 0
    refusal: str = ""
    requested_at: float = 0.0
    issue_deadline: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRecord:
    """A part of a grant (号段): ``[first, first + count)``, of which ``[next, …)`` is available.

    ``point`` is None while it lies in the taxpayer's pool. ``first`` and ``next`` are running
    parts; ``stock.segment.number_text`` makes the number's text of prefix, width and running part.
    Its highest numbers may be RETURNING or RETURNED, and then are not available. ``issue_deadline``
    is the last civil day on which they may be issued, ``YYYY-MM-DD``, empty for no limit.
    """

    segment_id: int
    grant_id: str
    tax_number: str
    type: str
    point: int | None
    code: str
    prefix: str
    width: int
    first: int
    count: int
    next: int
    returning_count: int = 0
    returned_count: int = 0
    issue_deadline: str = ""

    @property
    def available_count(self) -> int:
        """How many numbers can still be taken."""
        tail_count = self.returning_count + self.returned_count
        return self.first + self.count - tail_count - self.next


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnRecord:
    """Numbers on their way back to the authority: REQUESTED, then RETURNED or REFUSED.

    ``segment`` holds nothing else; None when it was refused and its numbers have moved on since.
    The two request ids are as in :class:`GrantRecord`.
    """

    tenant: str
    request_id: str
    authority_request_id: str
    tax_number: str
    type: str
    count: int
    state: str
    segment: SegmentRecord | None
    return_serial: str = ""
    refusal: str = ""
    requested_at: float = 0.0
    answered_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StockLevelRecord:
    """What a point (or the pool, ``point`` None) has left of one type, and what is issued next.

    ``issue_deadline`` is the earliest of what is left. What is past its day is counted in
    ``expired_count`` alone.
    """

    point: int | None
    type: str
    available_count: int
    next_code: str = ""
    next_number: str = ""
    issue_deadline: str = ""
    expired_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginalStatement:
    """The invoice a void is about: its signed bytes, and the key they verify under."""

    content: bytes
    signature: bytes
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxItem:
    """One event to upload, with everything that is sent. ``event``: ISSUE, VOID or BLANK_VOID.

    A VOID carries its ``original``, so that an invoice which the authority refused can be voided.
    """

    event_id: int
    event: str
    code: str
    number: str
    content: bytes
    signature: bytes
    key_id: str
    attempt_count: int
    original: OriginalStatement | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Events sent together, stored before sending.

    ``state``: PREPARED (stored, no answer yet), IN_DOUBT (the answer was lost, or this is what a
    restart found of PREPARED), SUBMITTED (has its ``acceptance_serial``). Done ones leave this
    list. ``certificates`` maps key id to DER.
    """

    submission_id: str
    tax_number: str
    state: str
    created_at: float
    items: tuple[OutboxItem, ...]
    certificates: Mapping[str, bytes]
    acceptance_serial: str = ""
    poll_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EventVerdict:
    """The authority's final word on one event: ACCEPTED, REJECTED or SIGNATURE_REJECTED."""

    event_id: int
    state: UploadState
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadControlRecord:
    """What an operator has decided about a taxpayer's uploads.

    ``paused_until`` is in unix seconds; None while ``paused`` means: until they are resumed. A pause
    whose time has come is over. ``windows`` hold beside the authority's own; empty: none are set.
    """

    tax_number: str
    paused: bool = False
    paused_until: float | None = None
    pause_reason: str = ""
    windows: tuple[RateWindow, ...] = ()

    def paused_at(self, now: float) -> bool:
        """Whether the pause is in force at ``now``."""
        return self.paused and (self.paused_until is None or now < self.paused_until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """One upload call as the windows see it: it frees one window after ``answered_at``.

    ``answered_at`` is None while the call is unanswered, and after a restart becomes the time
    of the start: so no window is ever exceeded as the authority counts.
    """

    permit_id: int
    tax_number: str
    sent_at: float
    answered_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterRecord:
    """The counters of one (taxpayer, device, type): the serialisation point of budget, clock, changes.

    ``oldest_issue_time`` is 0 without a backlog. The last three are the same on all meters of a device:
    the first month that is not summarised, when the one before it was, and what nothing is dated before.
    """

    tax_number: str
    machine_number: str
    type: str
    unuploaded_count: int
    unuploaded_amount_fen: int
    last_issue_time: int
    change_number: int
    oldest_issue_time: int = 0
    open_period: str = ""
    summarised_at: float = 0.0
    issue_time_min: int = 0

    @property
    def state(self) -> MeterState:
        """What its limits are judged by."""
        return MeterState(
            unuploaded_count=self.unuploaded_count,
            unuploaded_amount_fen=self.unuploaded_amount_fen,
            oldest_issue_time=self.oldest_issue_time,
            open_period=self.open_period,
            summarised_at=self.summarised_at,
        )

    def issue_time(self, now: float) -> int:
        """The time an invoice would be dated at ``now``."""
        return max(int(now), self.last_issue_time, self.issue_time_min)


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogRecord:
    """Where one taxpayer's uploads stand. ``oldest_issue_time`` is None without a backlog."""

    tax_number: str
    pending_count: int
    submitted_count: int
    in_doubt_count: int
    rejected_count: int
    oldest_issue_time: int | None
    meters: tuple[MeterRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnuploadedRecord:
    """One event without the authority's acceptance, as an operator reads it."""

    event_id: int
    event: str
    tax_number: str
    code: str
    number: str
    type: str
    issue_time: int
    net_fen: int
    state: UploadState
    rejection: str
    attempt_count: int


class SigningPlace(NamedTuple):
    """What one key signs for."""

    tax_number: str
    machine_number: str
    tenant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something wrong in the books. ``check`` is the invariant's name (``I2_GAPLESS`` …)."""

    check: str
    subject: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BooksProgress:
    """How far a check of the books is, and what it found since the last word.

    The counts are totals so far. The last one has ``done``; then ``balanced`` says whether
    nothing was found at all. ``rejected_count`` and ``pending_count`` are events: those that the
    authority has refused, and those that it has not finally answered.
    """

    checked_count: int
    total_count: int
    findings: tuple[Finding, ...] = ()
    issued_count: int = 0
    reserved_count: int = 0
    uploaded_count: int = 0
    rejected_count: int = 0
    pending_count: int = 0
    signature_count: int = 0
    done: bool = False
    balanced: bool = False
