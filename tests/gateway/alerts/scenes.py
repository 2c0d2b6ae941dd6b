"""Surveys in which one thing is as a test wants it, and all others are sound."""

from dataclasses import replace
from typing import Any, Final

from gateway.desk.survey import (
    DeviceLine,
    LimitOutlook,
    MeterLine,
    StockLine,
    StockThreshold,
    Survey,
    TaxpayerLine,
)
from ledger.records import UploadControlRecord
from quota.offline import Grade, Limit, LimitUse, OfflineLimits

# 2025-11-30 18:53 in Shanghai.
NOW: Final = 1_764_500_000.0
HOUR_S: Final = 3600.0
DAY_S: Final = 86_400.0
TAX_NUMBER: Final = "91310115MA1FEXMP0M"
MACHINE: Final = "661000000001"
TYPE: Final = "026"

_DEVICE: Final = DeviceLine(
    machine_number=MACHINE,
    key_id="key-1",
    certificate_ends_at=NOW + 900 * DAY_S,
    signs=True,
    open_period="2025-11",
    lock_at=None,
)
_SELLER: Final = TaxpayerLine(
    tenant="default",
    tax_number=TAX_NUMBER,
    name="示例企业",
    offline_limits=OfflineLimits(),
    windows=(),
    control=UploadControlRecord(tax_number=TAX_NUMBER),
    stock=(),
    meters=(),
    devices=(_DEVICE,),
    pending_count=0,
    submitted_count=0,
    in_doubt_count=0,
    rejected_count=0,
    signature_rejected_count=0,
    in_doubt_since=0.0,
    upload=None,
    grade=Grade.OK,
    drained_at=None,
)
_GATEWAY: Final = Survey(
    at=NOW,
    taxpayers={},
    authority_reachable=True,
    authority_lost_at=None,
    finance_reachable=True,
    finance_lost_at=None,
    signing_available=True,
    ledger_writable=True,
    clock_ahead_s=0.0,
    clamped_s=0.0,
    issued_per_minute=0,
    uploaded_per_minute=0,
)


def seller(**facts: Any) -> TaxpayerLine:
    """A seller with one device and nothing else."""
    return replace(_SELLER, **facts)


def gateway(*sellers: TaxpayerLine, **facts: Any) -> Survey:
    """A gateway and its sellers."""
    return replace(_GATEWAY, taxpayers={one.tax_number: one for one in sellers}, **facts)


def with_stock(
    available: int,
    *,
    low: int | None,
    empty_at: float | None,
    grade: Grade,
    expired: int = 0,
    was_used: bool = True,
) -> Survey:
    """One point with stock of one type; 7 were taken in the last hour."""
    threshold = None
    if low is not None:
        threshold = StockThreshold(low_count=low, target_count=low + 1, auto_draw=False)
    line = StockLine(
        point=0,
        type=TYPE,
        available_count=available,
        expired_count=expired,
        threshold=threshold,
        taken_last_hour_count=7,
        empty_at=empty_at,
        was_used=was_used,
        grade=grade,
    )
    return gateway(seller(stock=(line,)))


def with_backlog(
    count: int,
    *,
    fen: int = 0,
    age_s: float = 60.0,
    limit: Limit = Limit.COUNT,
    most: int,
    reached_at: float | None = None,
    drained_at: float | None = None,
    at: float = NOW,
) -> Survey:
    """One meter with a backlog and one limit."""
    used = {Limit.COUNT: count, Limit.AMOUNT: fen, Limit.AGE: int(age_s) if count else 0}[limit]
    limits = {
        Limit.COUNT: OfflineLimits(count_max=most),
        Limit.AMOUNT: OfflineLimits(amount_fen_max=most),
        Limit.AGE: OfflineLimits(age_hours_max=most // 3600),
    }[limit]
    use = LimitUse(limit=limit, most=most, used=used)
    line = _meter(
        LimitOutlook(use=use, reached_at=reached_at),
        unuploaded_count=count,
        unuploaded_amount_fen=fen,
        oldest_issue_time=int(at - age_s) if count else 0,
        drained_at=drained_at,
    )
    return gateway(seller(meters=(line,), offline_limits=limits), at=at)


def with_limit(limit: Limit, *, limit_at: float) -> Survey:
    """One meter without a backlog, and a time that runs."""
    use = LimitUse(limit=limit, most=100, used=0, limit_at=limit_at)
    return gateway(seller(meters=(_meter(LimitOutlook(use=use, reached_at=limit_at)),)))


def with_device(**facts: Any) -> Survey:
    """One device."""
    return gateway(seller(devices=(replace(_DEVICE, **facts),)))


def _meter(outlook: LimitOutlook, **facts: Any) -> MeterLine:
    sound: dict[str, Any] = {
        "machine_number": MACHINE,
        "type": TYPE,
        "unuploaded_count": 0,
        "unuploaded_amount_fen": 0,
        "oldest_issue_time": 0,
        "last_issue_time": int(NOW),
        "open_period": "2025-11",
        "limits": (outlook,),
        "grade": outlook.use.grade,
        "drained_at": None,
    }
    return MeterLine(**sound | facts)
