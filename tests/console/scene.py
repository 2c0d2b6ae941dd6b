"""A desk with something of everything on it: three taxpayers, alerts, devices, invoices, a day's history."""

import time

from taxcontrol.admin.v1.alert_pb2 import Alert
from taxcontrol.admin.v1.desk_pb2 import AlertCounts, DeskView, MeterView, StockView, TaxpayerView
from taxcontrol.admin.v1.offline_pb2 import (
    GRADE_OK,
    GRADE_RESTRICT,
    GRADE_STOP,
    GRADE_WARN,
    Grade,
    LimitUse,
)
from taxcontrol.admin.v1.stock_threshold_pb2 import StockThreshold
from taxcontrol.admin.v1.taxpayer_pb2 import RateWindow
from taxcontrol.admin.v1.upload_pb2 import Meter, UploadStatus, WindowUse
from tests.console import books
from tests.console.facts import (
    DAY_S,
    DEVICE,
    HOUR_S,
    INVOICE,
    LOW,
    MINUTE_S,
    RAILWAY,
    REJECTED,
    SCHOOL,
    SHOP,
    YUAN,
    at,
)
from tests.console.fake_gateway import FakeGateway


def make() -> FakeGateway:
    """A fresh desk as of now."""
    now = int(time.time())
    gateway = FakeGateway(
        view=DeskView(
            taxpayers=[_railway(now), _school(now), _shop(now)],
            authority_reachable=True,
            finance_reachable=True,
            signing_available=True,
            issued_per_minute=1284,
            uploaded_per_minute=1190,
            alerts=AlertCounts(warning_count=1, serious_count=2),
            clock_ahead_ms=12,
        ),
        windows=[
            RateWindow(period_ms=1000, call_count_max=10),
            RateWindow(period_ms=60_000, call_count_max=300),
        ],
        histories={RAILWAY: books.history(now, 1.0), SCHOOL: books.history(now, 0.02)},
    )
    for alert in _alerts(now):
        gateway.alerts[alert.name] = alert
    gateway.devices[DEVICE] = books.monitor(now, _railway(now).meters[0].limits)
    gateway.invoices[INVOICE] = books.invoice(now)
    return gateway


def _stock(  # noqa: PLR0917 - a row of a table
    owner: str,
    point: int | None,
    type_code: str,
    left: int,
    burn: int,
    grade: "Grade.ValueType",
    **more: object,
) -> StockView:
    stock = StockView(
        point="" if point is None else f"{owner}/points/{point}",
        type=type_code,
        available_count=left,
        taken_last_hour_count=burn,
        grade=grade,
        **more,  # type: ignore[arg-type]
    )
    if burn:
        stock.empty_time.CopyFrom(at(time.time() + left / burn * HOUR_S))
    return stock


def _use(limit: "LimitUse.Limit.ValueType", most: int, used: int, limit_s: float = 0) -> LimitUse:
    ppm = used * 1_000_000 // most
    grade = GRADE_OK
    for bound, reached in (
        (700_000, GRADE_WARN),
        (900_000, GRADE_RESTRICT),
        (1_000_000, GRADE_STOP),
    ):
        grade = reached if ppm >= bound else grade
    use = LimitUse(
        limit=limit, most=most, used=used, left=max(0, most - used), used_ppm=ppm, grade=grade
    )
    if limit_s:
        use.limit_time.CopyFrom(at(limit_s))
    return use


def _railway(now: int) -> TaxpayerView:
    limits = [
        _use(LimitUse.LIMIT_AGE, 72 * HOUR_S, 9 * HOUR_S, now + 63 * HOUR_S),
        _use(LimitUse.LIMIT_AMOUNT, 5_000_000 * YUAN, 3_871_204 * YUAN + 50, now + 4 * HOUR_S),
    ]
    meter = MeterView(
        machine_number="661234567890",
        type="026",
        unuploaded_count=18_412,
        unuploaded_amount_fen=3_871_204 * YUAN + 50,
        oldest_issue_time=at(now - 9 * HOUR_S),
        limits=limits,
        grade=GRADE_WARN,
    )
    return TaxpayerView(
        taxpayer=RAILWAY,
        display_name="京津城际铁路客运有限公司",
        stock=[
            _stock(RAILWAY, None, "026", 120_000, 0, GRADE_OK),
            _stock(
                RAILWAY,
                0,
                "026",
                1_460,
                2_310,
                GRADE_WARN,
                threshold=StockThreshold(
                    parent=f"{RAILWAY}/points/0",
                    type="026",
                    low_count=2_000,
                    target_count=10_000,
                    auto_draw=True,
                ),
            ),
            _stock(RAILWAY, 1, "026", 8_230, 1_140, GRADE_OK),
            _stock(RAILWAY, 2, "026", 310, 960, GRADE_RESTRICT, issue_deadline="2026-12-31"),
        ],
        meters=[meter],
        upload=_upload(RAILWAY, meter, now),
        grade=GRADE_RESTRICT,
        alerts=AlertCounts(serious_count=1),
    )


def _upload(name: str, meter: MeterView, now: int) -> UploadStatus:
    return UploadStatus(
        taxpayer=name,
        pending_count=meter.unuploaded_count - 100,
        submitted_count=100,
        oldest_issue_time=at(now - 9 * HOUR_S),
        age_limit_time=at(now + 63 * HOUR_S),
        rate_share_ppm=980_000,
        windows=[
            WindowUse(period_ms=1000, call_count_max=10, used_count=9),
            WindowUse(period_ms=60_000, call_count_max=300, used_count=291),
        ],
        meters=[
            Meter(
                machine_number=meter.machine_number,
                type=meter.type,
                unuploaded_count=meter.unuploaded_count,
                unuploaded_amount_fen=meter.unuploaded_amount_fen,
                limits=meter.limits,
                grade=meter.grade,
            )
        ],
    )


def _school(now: int) -> TaxpayerView:
    meter = MeterView(
        machine_number="661234567891",
        type="082",
        unuploaded_count=264,
        unuploaded_amount_fen=81_250 * YUAN,
        oldest_issue_time=at(now - 6 * MINUTE_S),
        limits=[
            _use(LimitUse.LIMIT_AGE, 72 * HOUR_S, 6 * MINUTE_S, now + 72 * HOUR_S),
            _use(LimitUse.LIMIT_AMOUNT, 5_000_000 * YUAN, 81_250 * YUAN),
        ],
        grade=GRADE_OK,
    )
    upload = UploadStatus(
        taxpayer=SCHOOL, pending_count=262, rejected_count=2, rate_share_ppm=1_000_000
    )
    return TaxpayerView(
        taxpayer=SCHOOL,
        display_name="浦东新区晨光学校",
        stock=[
            _stock(SCHOOL, None, "082", 40_000, 0, GRADE_OK),
            _stock(SCHOOL, 0, "082", 5_120, 420, GRADE_OK),
        ],
        meters=[meter],
        upload=upload,
        grade=GRADE_OK,
        drain_time=at(now + 4 * MINUTE_S),
    )


def _shop(_now: int) -> TaxpayerView:
    return TaxpayerView(
        taxpayer=SHOP,
        display_name="Nanshan <Books> & Tea",
        stock=[_stock(SHOP, 0, "025", 600, 0, GRADE_OK)],
        upload=UploadStatus(taxpayer=SHOP, rate_share_ppm=1_000_000),
        grade=GRADE_OK,
    )


def _alerts(now: int) -> list[Alert]:
    return [
        Alert(
            name=LOW,
            kind=Alert.KIND_STOCK_LOW,
            state=Alert.STATE_RAISED,
            severity=Alert.SEVERITY_SERIOUS,
            taxpayer=RAILWAY,
            point=f"{RAILWAY}/points/2",
            type="026",
            message="Point 2 has 310 numbers of type 026 left and is empty in 19 minutes.",
            message_zh="开票点2的026发票剩余310份，预计19分钟后用完。",
            limit_time=at(now + 19 * MINUTE_S),
            raise_time=at(now - 11 * MINUTE_S),
            update_time=at(now - MINUTE_S),
        ),
        Alert(
            name=REJECTED,
            kind=Alert.KIND_UPLOAD_REJECTED,
            state=Alert.STATE_ACKNOWLEDGED,
            severity=Alert.SEVERITY_SERIOUS,
            taxpayer=SCHOOL,
            message="The authority has refused 2 events.",
            message_zh="税务机关拒收了2条上传。",
            raise_time=at(now - 3 * HOUR_S),
            acknowledge_time=at(now - 2 * HOUR_S),
            acknowledged_by="wang.li",
            acknowledge_reason="Asked the school for the right buyer's number.",
        ),
        Alert(
            name="alerts/9",
            kind=Alert.KIND_UNUPLOADED_AMOUNT,
            state=Alert.STATE_RAISED,
            severity=Alert.SEVERITY_WARNING,
            taxpayer=RAILWAY,
            machine_number="661234567890",
            type="026",
            message="3,871,204.50 yuan are un-uploaded, 77 % of the offline amount.",
            message_zh="未上传金额3,871,204.50元，已达离线限额的77%。",
            limit_time=at(now + 4 * HOUR_S),
            raise_time=at(now - 40 * MINUTE_S),
        ),
        Alert(
            name="alerts/3",
            kind=Alert.KIND_AUTHORITY_UNREACHABLE,
            state=Alert.STATE_RESOLVED,
            severity=Alert.SEVERITY_WARNING,
            message="The tax authority does not answer.",
            message_zh="税务机关无应答。",
            raise_time=at(now - DAY_S),
            resolve_time=at(now - DAY_S + 5 * MINUTE_S),
        ),
    ]
