"""Surveys and counts made by hand: as small as a test needs, or as full as nobody will ever see them."""

from dataclasses import replace
from itertools import product

from gateway.desk.survey import (
    DeviceLine,
    LimitOutlook,
    MeterLine,
    StockLine,
    StockThreshold,
    Survey,
    TaxpayerLine,
)
from gateway.metrics.measures import Measures
from gateway.metrics.sources import AlertCounts, IssueQueue, Sources
from gateway.tracing.port import SpanCounts
from gateway.upload.pacer import WindowUse
from gateway.upload.status import UploadStatus
from hsm.state import DeviceState
from ledger.records import UploadControlRecord
from ledger.state import StoreState
from quota.offline import Grade, Limit, LimitUse, OfflineLimits

NOW = 1_764_500_000.0
_MOST = {
    Limit.AGE: 259_200,
    Limit.COUNT: 10_000,
    Limit.AMOUNT: 500_000_000,
    Limit.LOCK_DAY: 86_400,
    Limit.PERIOD: 86_400,
    Limit.SUMMARY_AGE: 7_776_000,
}


def stock(
    available_count: int,
    *,
    point: int | None = 0,
    type_: str = "026",
    empty_at: float | None = None,
    grade: Grade = Grade.OK,
) -> StockLine:
    return StockLine(
        point=point,
        type=type_,
        available_count=available_count,
        expired_count=0,
        threshold=StockThreshold(low_count=50, target_count=500, auto_draw=True),
        taken_last_hour_count=0,
        empty_at=empty_at,
        was_used=True,
        grade=grade,
    )


def meter(count: int, *, used: float = 0.0, type_: str = "026", every: bool = False) -> MeterLine:
    """``used``: the part of its budgets; ``every``: of all that there are, else of COUNT alone."""
    limits = tuple(Limit) if every else (Limit.COUNT,)
    return MeterLine(
        machine_number="661000000001",
        type=type_,
        unuploaded_count=count,
        unuploaded_amount_fen=count * 12_345,
        oldest_issue_time=int(NOW) - 60 * count if count else 0,
        last_issue_time=int(NOW),
        open_period="2025-11",
        limits=tuple(
            LimitOutlook(
                use=LimitUse(limit=limit, most=_MOST[limit], used=int(_MOST[limit] * used)),
                reached_at=NOW + 3600 if used else None,
            )
            for limit in limits
        ),
        grade=Grade.WARN if used >= 0.7 else Grade.OK,
        drained_at=None,
    )


def taxpayer(
    tax_number: str, *, stock: tuple[StockLine, ...] = (), meters: tuple[MeterLine, ...] = ()
) -> TaxpayerLine:
    return TaxpayerLine(
        tenant="default",
        tax_number=tax_number,
        name="示例企业",
        offline_limits=OfflineLimits(count_max=10_000),
        windows=(),
        control=UploadControlRecord(tax_number=tax_number),
        stock=stock,
        meters=meters,
        devices=(device("661000000001"),),
        pending_count=0,
        submitted_count=0,
        in_doubt_count=3,
        rejected_count=2,
        signature_rejected_count=1,
        in_doubt_since=NOW - 90,
        upload=UploadStatus(
            windows=(WindowUse(period_s=1.0, call_count_max=10, used_count=4),),
            share=0.5,
            next_call_at=NOW,
            last_error="",
            in_flight_count=1,
        ),
        grade=max((each.grade for each in meters), default=Grade.OK),
        drained_at=None,
    )


def device(machine_number: str, *, ends_at: float = NOW + 86_400) -> DeviceLine:
    return DeviceLine(
        machine_number=machine_number,
        key_id=machine_number,
        certificate_ends_at=ends_at,
        signs=True,
        open_period="2025-11",
        lock_at=NOW + 7200,
    )


def survey(*lines: TaxpayerLine) -> Survey:
    return Survey(
        at=NOW,
        taxpayers={line.tax_number: line for line in lines},
        authority_reachable=True,
        authority_lost_at=None,
        finance_reachable=False,
        finance_lost_at=NOW,
        signing_available=True,
        ledger_writable=True,
        clock_ahead_s=0.25,
        clamped_s=0.0,
        issued_per_minute=60,
        uploaded_per_minute=60,
    )


def crowd(taxpayer_count: int, point_count: int) -> Survey:
    """Everybody has points, pools, devices, every limit and more windows than an authority states."""
    windows = tuple(
        WindowUse(period_s=10.0**power, call_count_max=100, used_count=power) for power in range(6)
    )
    points = (None, *range(point_count - 1))
    lines = []
    for number in range(taxpayer_count):
        line = taxpayer(
            f"{number:018}",
            stock=tuple(
                stock(number + (point or 0), point=point, empty_at=NOW + number) for point in points
            ),
            meters=tuple(meter(number, used=(number % 100) / 100, every=True) for _ in range(2)),
        )
        upload = line.upload
        assert upload is not None
        devices = tuple(device(f"{number:06}{each:06}") for each in range(3))
        lines.append(replace(line, upload=replace(upload, windows=windows), devices=devices))
    return survey(*lines)


def everything(of: Survey | None, *, names: int = 3) -> Sources:
    """Sources that all have something to say, of ``names`` methods, reasons, types and kinds each."""
    measures = Measures()
    for method, reason in product(range(names), repeat=2):
        calls = measures.calls_of(f"/taxcontrol.v1.Service{method}/Method")
        calls.ended(f"REASON_{reason}", 0.02)
    for name in range(names):
        measures.issued[f"{name:03}"] = 7
        measures.refused[f"REASON_{name}"] = 5
    measures.committed(3, 0.004)
    measures.signed(2, 0.002)
    measures.ledger_commit_s.add(0.001)
    alerts = AlertCounts(
        standing={
            f"KIND_{kind}": {f"SEVERITY_{severity}": 1 for severity in range(names)}
            for kind in range(names)
        },
        undelivered_count=4,
        undelivered_since=NOW - 30,
        failed_count=9,
    )
    return Sources(
        measures=measures,
        now=lambda: NOW + 5,
        queue=lambda: IssueQueue(waiting_count=1, in_work_count=2, in_work_count_max=4096),
        ready=lambda: {"": True} | {f"service{each}": False for each in range(names)},
        device=lambda: DeviceState(
            call_count=10,
            failure_count=2,
            late_count=1,
            wrong_signature_count=0,
            break_count=1,
            probe_count=3,
            key_count=4,
            open_breaker_count=1,
            lane_count=2,
            busy_lane_count=1,
            hanging_lane_count=0,
        ),
        store=lambda: StoreState(file_bytes=4096, log_bytes=8, free_bytes=10**9, waiting_count=1),
        survey=lambda: of,
        alerts=lambda: alerts,
        spans=lambda: SpanCounts(exported_count=6, dropped_count=1, failed_count=0),
    )
