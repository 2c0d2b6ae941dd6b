"""What an operator would see at one look: stock, backlog, budgets, devices. Plain data.

One look serves all that watch: the desk's stream, alerts, metrics and the automatic draw. Times are
unix seconds; money is integer fen. A survey is never changed after it was made.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.upload.status import UploadStatus
from ledger.records import RateWindow, UploadControlRecord
from quota.offline import Grade, LimitUse, OfflineLimits

Urgency = tuple[int, float, str]
"""How near a taxpayer is to trouble: what is least comes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StockThreshold:
    """When stock counts as low, and to what it is filled up. ``auto_draw``: by itself.

    ``of_point``: the point's own, not the taxpayer's.
    """

    low_count: int
    target_count: int
    auto_draw: bool
    of_point: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StockLine:
    """One type at a point, or in the pool (``point`` None).

    ``available_count`` may be issued today; ``expired_count`` is past its day. ``empty_at`` is None when it
    is not used. ``was_used`` tells whether a number was ever taken there.
    """

    point: int | None
    type: str
    available_count: int
    expired_count: int
    threshold: StockThreshold | None
    taken_last_hour_count: int
    empty_at: float | None
    was_used: bool
    grade: Grade
    issue_deadline: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitOutlook:
    """A limit's use, and when it will be reached as things go; None when it will not."""

    use: LimitUse
    reached_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterLine:
    """One device and type. ``drained_at``: when its backlog is gone as things go; None if it grows."""

    machine_number: str
    type: str
    unuploaded_count: int
    unuploaded_amount_fen: int
    oldest_issue_time: int
    last_issue_time: int
    open_period: str
    limits: tuple[LimitOutlook, ...]
    grade: Grade
    drained_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLine:
    """One device. ``certificate_ends_at`` is that of the key that signs, 0 when it has none that can be read.

    ``signs`` is whether that key signs now; ``lock_at`` when the first month that is not summarised
    stops issuing, None without a lock day.
    """

    machine_number: str
    key_id: str
    certificate_ends_at: float
    signs: bool
    open_period: str
    lock_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxpayerLine:
    """One taxpayer. ``upload`` is None while nothing of it was uploaded since the start.

    ``offline_limits`` and ``windows`` are those in force. ``in_doubt_since`` is when the oldest
    unanswered submission was made; 0 without one.
    """

    tenant: str
    tax_number: str
    name: str
    offline_limits: OfflineLimits
    windows: tuple[RateWindow, ...]
    control: UploadControlRecord
    stock: tuple[StockLine, ...]
    meters: tuple[MeterLine, ...]
    devices: tuple[DeviceLine, ...]
    pending_count: int
    submitted_count: int
    in_doubt_count: int
    rejected_count: int
    signature_rejected_count: int
    in_doubt_since: float
    upload: UploadStatus | None
    grade: Grade
    drained_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Everything, as of ``at``; of taxpayers the nearest to trouble first. ``finance_reachable`` is None where none is configured.

    ``clock_ahead_s`` is None before the authority has told the time. When the ledger could not be read
    or written, ``ledger_writable`` is False and ``taxpayers`` is what it was the last time.
    """

    at: float
    taxpayers: Mapping[str, TaxpayerLine]
    authority_reachable: bool
    authority_lost_at: float | None
    finance_reachable: bool | None
    finance_lost_at: float | None
    signing_available: bool
    ledger_writable: bool
    clock_ahead_s: float | None
    clamped_s: float
    issued_per_minute: int
    uploaded_per_minute: int


def urgency(line: TaxpayerLine) -> Urgency:
    """Sorts the nearest to trouble first: by grade, then by what runs out first, then by number."""
    ends = [one.empty_at for one in line.stock if one.empty_at is not None]
    ends += [
        limit.reached_at
        for meter in line.meters
        for limit in meter.limits
        if limit.reached_at is not None and limit.use.grade > Grade.OK
    ]
    return (-line.grade, min(ends, default=float("inf")), line.tax_number)
