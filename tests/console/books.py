"""What lies behind the scene's desk: a day's history, a device with its months, an invoice."""

import json
import math
from collections.abc import Sequence

from taxcontrol.admin.v1.desk_service_pb2 import BacklogSample, BurnSample, GetHistoryResponse
from taxcontrol.admin.v1.device_service_pb2 import (
    DeviceKey,
    DeviceStatus,
    GetMonitorInfoResponse,
    MonitoredType,
)
from taxcontrol.admin.v1.offline_pb2 import GRADE_WARN, LimitUse
from taxcontrol.admin.v1.period_pb2 import Period, PeriodStatistics
from taxcontrol.v1.invoice_pb2 import INVOICE_KIND_BLUE, Invoice, IssuedInvoice
from tests.console.facts import (
    DAY_S,
    DEVICE,
    HOUR_S,
    INVOICE,
    MINUTE_S,
    QR_TEXT,
    RAILWAY,
    REQUEST_ID,
    YUAN,
    at,
)


def history(now: int, share: float) -> GetHistoryResponse:
    """The backlog and the use of a day; ``share`` is how large it is."""
    minute = now // MINUTE_S * MINUTE_S
    hour = now // HOUR_S * HOUR_S
    backlog = []
    for back in range(24 * 60, -1, -3):
        done = 1 - back / 1440
        wave = 0.5 - 0.5 * math.cos(done * 9.0)
        count = int((300 + 18_100 * (0.25 * wave + 0.75 * done**3)) * share)
        backlog.append(
            BacklogSample(
                sample_time=at(minute - back * MINUTE_S),
                unuploaded_count=count,
                unuploaded_amount_fen=count * 21_025,
                oldest_age_s=int(9 * HOUR_S * done),
                used_ppm=int(count * 42),
            )
        )
    burn = [
        BurnSample(
            hour_time=at(hour - back * HOUR_S),
            point=f"{RAILWAY}/points/0",
            type="026",
            taken_count=int(2600 * (0.55 + 0.45 * math.sin(back / 3.2))),
        )
        for back in range(24)
    ]
    return GetHistoryResponse(backlog=backlog, burn=burn)


def monitor(now: int, limits: Sequence[LimitUse]) -> GetMonitorInfoResponse:
    """A device with its keys and two months."""
    device = DeviceStatus(
        name=DEVICE,
        machine_number="661234567890",
        kind="new-server",
        keys=[
            DeviceKey(
                key_id="6f1d2c", algorithm="P-256", active=True, expire_time=at(now + 21 * DAY_S)
            ),
            DeviceKey(key_id="01aa9e", algorithm="P-256", expire_time=at(now + 400 * DAY_S)),
        ],
        signing_available=True,
        points=[0, 1, 2],
        month_issued_count=412_908,
        unuploaded_count=18_412,
        last_issue_time=at(now - 2),
        open_period="2026-01",
        grade=GRADE_WARN,
    )
    statistics = PeriodStatistics(
        type="026",
        opening_count=40_000,
        drawn_count=500_000,
        blue_count=412_000,
        blue_void_count=31,
        red_count=908,
        blank_void_count=2,
        closing_count=127_090,
    )
    return GetMonitorInfoResponse(
        device=device,
        clock_time=at(now),
        clock_ahead_ms=12,
        types=[
            MonitoredType(
                type="026",
                invoice_limit_fen=100_000 * YUAN,
                unuploaded_count=18_412,
                unuploaded_amount_fen=3_871_204 * YUAN + 50,
                oldest_issue_time=at(now - 9 * HOUR_S),
                limits=limits,
                grade=GRADE_WARN,
            )
        ],
        periods=[
            Period(
                period="2026-01",
                state=Period.STATE_OPEN,
                statistics=[statistics],
                lock_time=at(now + 12 * DAY_S),
            ),
            Period(
                period="2025-12",
                state=Period.STATE_SUMMARISED,
                statistics=[statistics],
                summary_time=at(now - 9 * DAY_S),
                summary_serial="S-1",
            ),
        ],
    )


def invoice(now: int) -> Invoice:
    """An issued invoice whose buyer's name has mark-up in it."""
    content = {
        "schema": "taxcontrol.invoice.v1",
        "buyer": {"name": "上海<b>远航</b>贸易有限公司"},
        "clerk": "李娜",
        "lines": [
            {
                "name": "*运输服务*客运",
                "quantity": "1",
                "unit": "张",
                "rate_ppm": 90_000,
                "amount_fen": 10_000,
                "tax_fen": 900,
            },
            {"name": "*运输服务*行李", "rate_ppm": 130_000, "amount_fen": 1_000, "tax_fen": 130},
        ],
    }
    return Invoice(
        issued=IssuedInvoice(
            name=INVOICE,
            request_id=REQUEST_ID,
            type="026",
            code="011002600111",
            number="00000042",
            machine_number="661234567890",
            issue_time=at(now - HOUR_S),
            content=json.dumps(content, ensure_ascii=False).encode(),
            key_id="6f1d2c",
            signature_algorithm="P-256",
            check_code="12345678901234567890",
            qr_text=QR_TEXT,
        ),
        point=f"{RAILWAY}/points/0",
        kind=INVOICE_KIND_BLUE,
        state=Invoice.STATE_ISSUED,
        upload_state=Invoice.UPLOAD_STATE_ACCEPTED,
        acceptance_serial="A-20260131-42",
        net_fen=11_000,
        tax_fen=1_030,
    )
