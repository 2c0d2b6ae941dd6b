"""The fake gateway's devices: their keys and months, and the limits of their taxpayer."""

from dataclasses import dataclass, field

import grpc
from google.rpc import code_pb2

from taxcontrol.admin.v1.device_service_pb2 import (
    DeviceKey,
    DeviceStatus,
    GetMonitorInfoRequest,
    GetMonitorInfoResponse,
    ListDevicesRequest,
    ListDevicesResponse,
    MonitoredType,
    RotateKeyRequest,
    RotateKeyResponse,
    SummarisePeriodRequest,
    SummarisePeriodResponse,
)
from taxcontrol.admin.v1.offline_pb2 import GRADE_OK, GRADE_WARN, LimitUse
from taxcontrol.admin.v1.period_pb2 import Period, PeriodStatistics, RateTotal
from taxcontrol.admin.v1.taxpayer_pb2 import OfflineLimits
from taxcontrol.admin.v1.taxpayer_service_pb2 import (
    SetOfflineLimitsRequest,
    SetOfflineLimitsResponse,
)
from tests.taxctl.books import TAXPAYER, Books, refuse

MACHINE = "499000000001"
DEVICE = f"{TAXPAYER}/devices/{MACHINE}"
PRESENT = "2026-11"
_GRANTED = OfflineLimits(age_hours_max=72, amount_fen_max=500_000_000, count_max=1000)


@dataclass
class Workshop:
    """One device with one key; ``unuploaded`` stand in the way of closing October."""

    books: Books
    unuploaded: int = 0
    keys: list[str] = field(default_factory=lambda: ["k1"])
    summarised: list[str] = field(default_factory=list)
    limits: OfflineLimits = field(default_factory=lambda: OfflineLimits(age_hours_max=72))

    def ListDevices(  # noqa: N802 - the contract's name
        self, _request: ListDevicesRequest, _: grpc.ServicerContext
    ) -> ListDevicesResponse:
        return ListDevicesResponse(devices=[self._device()])

    def GetMonitorInfo(  # noqa: N802 - the contract's name
        self, request: GetMonitorInfoRequest, context: grpc.ServicerContext
    ) -> GetMonitorInfoResponse:
        self._known(request.name, context)
        told = GetMonitorInfoResponse(
            device=self._device(),
            clock_ahead_ms=-120,
            types=[
                MonitoredType(
                    type="026",
                    invoice_limit_fen=10_000_000,
                    unuploaded_count=self.unuploaded,
                    limits=[
                        LimitUse(
                            limit=LimitUse.LIMIT_COUNT,
                            most=1000,
                            used=720,
                            left=280,
                            used_ppm=720_000,
                            grade=GRADE_WARN,
                        )
                    ],
                    grade=GRADE_WARN,
                )
            ],
            periods=[self._period(PRESENT), self._period("2026-10")],
        )
        told.clock_time.seconds = self.books.now
        return told

    def SummarisePeriod(  # noqa: N802 - the contract's name
        self, request: SummarisePeriodRequest, context: grpc.ServicerContext
    ) -> SummarisePeriodResponse:
        def act(dry: bool) -> SummarisePeriodResponse:
            self._known(request.name, context)
            cause = ""
            if request.period >= PRESENT:
                cause = "NOT_OVER"
            elif self.unuploaded:
                cause = "UNUPLOADED"
            if cause:
                facts = {"period": request.period, "cause": cause, "count": str(self.unuploaded)}
                refuse(
                    context,
                    code_pb2.FAILED_PRECONDITION,
                    "PERIOD_NOT_CLOSABLE",
                    "the month cannot be summarised",
                    facts,
                )
            if not dry:
                self.summarised.append(request.period)
            return SummarisePeriodResponse(period=self._period(request.period))

        return self.books.once(request, context, act)

    def RotateKey(  # noqa: N802 - the contract's name
        self, request: RotateKeyRequest, context: grpc.ServicerContext
    ) -> RotateKeyResponse:
        def act(dry: bool) -> RotateKeyResponse:
            self._known(request.name, context)
            if not dry:
                self.keys.insert(0, f"k{len(self.keys) + 1}")
            return RotateKeyResponse(device=self._device())

        return self.books.once(request, context, act)

    def SetOfflineLimits(  # noqa: N802 - the contract's name
        self, request: SetOfflineLimitsRequest, context: grpc.ServicerContext
    ) -> SetOfflineLimitsResponse:
        def act(dry: bool) -> SetOfflineLimitsResponse:
            wanted = request.offline_limits
            for name in ("age_hours_max", "amount_fen_max", "count_max"):
                if wanted.HasField(name) and getattr(wanted, name) > getattr(_GRANTED, name):
                    refuse(context, code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST")
            told = OfflineLimits()
            told.CopyFrom(_GRANTED)
            told.MergeFrom(wanted)
            if not dry:
                self.limits = told
            return SetOfflineLimitsResponse(offline_limits=told)

        return self.books.once(request, context, act)

    def _known(self, name: str, context: grpc.ServicerContext) -> None:
        if name != DEVICE:
            refuse(context, code_pb2.NOT_FOUND, "DEVICE_NOT_FOUND")

    def _device(self) -> DeviceStatus:
        device = DeviceStatus(
            name=DEVICE,
            machine_number=MACHINE,
            kind="new-server",
            keys=[
                DeviceKey(key_id=key, algorithm="P-256", active=place == 0)
                for place, key in enumerate(self.keys)
            ],
            signing_available=True,
            points=[0, 1],
            month_issued_count=1234,
            unuploaded_count=self.unuploaded,
            open_period="2026-10",
            grade=GRADE_OK,
        )
        for key in device.keys:
            key.expire_time.seconds = self.books.now + 86_400 * 365
        device.last_issue_time.seconds = self.books.now
        return device

    def _period(self, month: str) -> Period:
        state = Period.STATE_SUMMARISED if month in self.summarised else Period.STATE_OPEN
        return Period(
            period=month,
            state=state,
            summary_serial="HZ0001" if state == Period.STATE_SUMMARISED else "",
            statistics=[
                PeriodStatistics(
                    type="026",
                    opening_count=100,
                    drawn_count=1000,
                    blue_count=600,
                    blue_void_count=3,
                    red_count=5,
                    blank_void_count=1,
                    closing_count=494,
                    totals=[
                        RateTotal(
                            group=RateTotal.GROUP_BLUE,
                            rate_ppm=130_000,
                            invoice_count=600,
                            net_fen=60_000_000,
                            tax_fen=7_800_000,
                        )
                    ],
                )
            ],
        )
