"""A desk worth looking at: two taxpayers in trouble, a third one well."""

from google.protobuf.timestamp_pb2 import Timestamp

from taxcontrol.admin.v1.alert_pb2 import Alert
from taxcontrol.admin.v1.desk_pb2 import (
    AlertCounts,
    DeskView,
    MeterView,
    StockView,
    TaxpayerView,
)
from taxcontrol.admin.v1.offline_pb2 import (
    GRADE_OK,
    GRADE_RESTRICT,
    GRADE_STOP,
    GRADE_WARN,
    LimitUse,
)
from taxcontrol.admin.v1.stock_threshold_pb2 import StockThreshold
from taxcontrol.admin.v1.upload_pb2 import UploadStatus, WindowUse
from tests.taxctl.books import NOON, TAXPAYER
from tests.taxctl.workshop import MACHINE

SCHOOL = "taxpayers/91310115X12J2H3L4B"
HOUR_S = 3600


def at(seconds: int) -> Timestamp:
    """So many seconds after ten o'clock."""
    return Timestamp(seconds=NOON + seconds)


def view(*, issued_per_minute: int = 312, points: int = 3) -> DeskView:
    """The desk at ten o'clock; ``points`` is how many counters the railway has."""
    return DeskView(
        view_time=at(0),
        authority_reachable=True,
        finance_reachable=False,
        signing_available=True,
        issued_per_minute=issued_per_minute,
        uploaded_per_minute=298,
        alerts=AlertCounts(
            warning_count=2, serious_count=1, critical_count=1, acknowledged_count=1
        ),
        clock_ahead_ms=-12,
        taxpayers=[_railway(points), _school()],
    )


def alerts() -> list[Alert]:
    """One that stops a counter, one that will, one that somebody looks after."""
    exhausted = Alert(
        name="alerts/1",
        kind=Alert.KIND_STOCK_EXHAUSTED,
        state=Alert.STATE_RAISED,
        severity=Alert.SEVERITY_CRITICAL,
        taxpayer=TAXPAYER,
        point=f"{TAXPAYER}/points/2",
        type="026",
        message="Point 2 has no number of 026 left",
        message_zh="开票点 2 的 026 发票已用完",
        raise_time=at(-600),
        limit_time=at(-600),
    )
    count = Alert(
        name="alerts/2",
        kind=Alert.KIND_UNUPLOADED_COUNT,
        state=Alert.STATE_RAISED,
        severity=Alert.SEVERITY_SERIOUS,
        taxpayer=TAXPAYER,
        machine_number=MACHINE,
        type="026",
        message="912 of 1000 invoices are not uploaded; the limit is reached at 10:40",
        message_zh="离线 912 张，上限 1000 张，预计 10:40 达到上限",
        raise_time=at(-1200),
        limit_time=at(2400),
        drain_time=at(4 * HOUR_S),
    )
    certificate = Alert(
        name="alerts/3",
        kind=Alert.KIND_CERTIFICATE_EXPIRING,
        state=Alert.STATE_ACKNOWLEDGED,
        severity=Alert.SEVERITY_WARNING,
        taxpayer=SCHOOL,
        machine_number="499000000002",
        message="The certificate ends on 2026-12-01",
        message_zh="证书将于 2026-12-01 到期",
        raise_time=at(-86_400),
        acknowledged_by="zhang",
        acknowledge_reason="ordered",
    )
    return [certificate, exhausted, count]


def _railway(points: int) -> TaxpayerView:
    stock = [StockView(type="026", available_count=12_000, grade=GRADE_OK)]
    for number in range(points):
        left = (number + 1) * 400 % 1200
        stock.append(
            StockView(
                point=f"{TAXPAYER}/points/{number}",
                type="026",
                available_count=left,
                threshold=StockThreshold(
                    parent=TAXPAYER, type="026", low_count=500, target_count=1000, auto_draw=True
                ),
                taken_last_hour_count=120,
                empty_time=at(left * 30),
                grade=GRADE_WARN if left else GRADE_STOP,
                issue_deadline="2026-12-31",
            )
        )
    limits = [
        LimitUse(
            limit=LimitUse.LIMIT_COUNT,
            most=1000,
            used=912,
            left=88,
            used_ppm=912_000,
            grade=GRADE_RESTRICT,
            limit_time=at(2400),
        ),
        LimitUse(
            limit=LimitUse.LIMIT_AGE,
            most=72 * HOUR_S,
            used=9 * HOUR_S,
            left=63 * HOUR_S,
            used_ppm=125_000,
            grade=GRADE_OK,
            limit_time=at(63 * HOUR_S),
        ),
        LimitUse(
            limit=LimitUse.LIMIT_AMOUNT,
            most=500_000_000,
            used=41_000_000,
            left=459_000_000,
            used_ppm=82_000,
            grade=GRADE_OK,
        ),
    ]
    return TaxpayerView(
        taxpayer=TAXPAYER,
        display_name="示例铁路客运有限公司",
        stock=stock,
        meters=[
            MeterView(
                machine_number=MACHINE,
                type="026",
                unuploaded_count=912,
                limits=limits,
                grade=GRADE_RESTRICT,
            )
        ],
        upload=UploadStatus(
            taxpayer=TAXPAYER,
            pending_count=880,
            submitted_count=32,
            rejected_count=2,
            rate_share_ppm=500_000,
            last_error="THROTTLED",
            windows=[
                WindowUse(period_ms=1000, call_count_max=10, used_count=3),
                WindowUse(period_ms=60_000, call_count_max=300, used_count=140),
            ],
        ),
        grade=GRADE_STOP,
        drain_time=at(4 * HOUR_S),
    )


def _school() -> TaxpayerView:
    return TaxpayerView(
        taxpayer=SCHOOL,
        display_name="示例培训学校",
        stock=[
            StockView(
                point=f"{SCHOOL}/points/0", type="081", available_count=80_000, grade=GRADE_OK
            )
        ],
        upload=UploadStatus(
            taxpayer=SCHOOL,
            rate_share_ppm=1_000_000,
            paused=True,
            paused_until=at(2 * HOUR_S),
            pause_reason="线路检修",
            windows=[WindowUse(period_ms=1000, call_count_max=10)],
        ),
        grade=GRADE_OK,
    )
