"""The servicer of ``DeviceService``."""

import re
from dataclasses import dataclass
from typing import Any

import grpc

from gateway import device_wire, requests
from gateway.authorities import Authorities
from gateway.clock import Clock
from gateway.periods import ACTION, Summariser
from gateway.rotate import Rotator
from hsm.port import Signer
from invoice.errors import InvalidRequest
from invoice.identifiers import parse_device_name, parse_taxpayer_name
from ledger.period_records import DeviceName, DeviceStatusRecord
from ledger.port import Ledger
from quota.period import period_of
from taxcontrol.admin.v1 import device_service_pb2 as pb2
from taxcontrol.admin.v1 import device_service_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]

_PERIOD = re.compile(r"20\d\d-(0[1-9]|1[0-2])", re.ASCII)
_TOKEN = re.compile(r"([0-9A-Z]{1,20})/([0-9]{12})", re.ASCII)
_MONTH_COUNT_MAX = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceParts:
    """What the servicer hands its requests to."""

    summariser: Summariser
    rotator: Rotator
    ledger: Ledger
    signer: Signer
    authorities: Authorities
    clock: Clock
    tenant: str


class DeviceServicer(device_service_pb2_grpc.DeviceServiceServicer):
    """Shows devices, closes their months and changes their keys."""

    def __init__(self, parts: DeviceParts) -> None:
        self._parts = parts

    async def ListDevices(
        self, request: pb2.ListDevicesRequest, context: Context
    ) -> pb2.ListDevicesResponse:
        """Answer one page of devices."""
        del context
        tax_number = parse_taxpayer_name(request.parent, field="parent") if request.parent else ""
        size = requests.page_size(request.page_size, default=100, most=1000)
        found = await self._parts.ledger.device_statuses(
            self._parts.tenant,
            tax_number,
            after=_after(request.page_token),
            period=period_of(self._parts.clock.now()),
            count_max=size + 1,
        )
        page = found[:size]
        last = page[-1] if len(found) > size else None
        return pb2.ListDevicesResponse(
            devices=map(self._device, page),
            next_page_token=""
            if last is None
            else f"{last.tax_number}/{last.device.machine_number}",
        )

    async def GetMonitorInfo(
        self, request: pb2.GetMonitorInfoRequest, context: Context
    ) -> pb2.GetMonitorInfoResponse:
        """Answer what a device shows on its panel."""
        del context
        name = DeviceName(*parse_device_name(request.name, field="name"))
        parts, now = self._parts, self._parts.clock.now()
        record = await parts.ledger.device_status(parts.tenant, name, period=period_of(now))
        months = await parts.ledger.months(parts.tenant, name, now=now, count_max=_MONTH_COUNT_MAX)
        answer = pb2.GetMonitorInfoResponse(
            device=self._device(record),
            types=[device_wire.monitored(record, meter, now) for meter in record.meters],
            periods=[device_wire.month(month, lock_day=record.limits.lock_day) for month in months],
        )
        answer.clock_time.FromNanoseconds(int(now * 1e9))
        types = [meter.type for meter in record.meters]
        if parts.authorities.clock_trusted(types):
            answer.clock_ahead_ms = round(parts.authorities.skew_s(types) * 1000)
        return answer

    async def SummarisePeriod(
        self, request: pb2.SummarisePeriodRequest, context: Context
    ) -> pb2.SummarisePeriodResponse:
        """Close a month."""
        del context
        name = DeviceName(*parse_device_name(request.name, field="name"))
        if _PERIOD.fullmatch(request.period) is None:
            raise InvalidRequest("period", "FIELD_FORMAT", "must be a month, YYYY-MM")
        parts = self._parts
        record, replayed = await parts.summariser.summarise(
            name,
            request.period,
            binding=requests.binding(parts.tenant, ACTION, request, request.request_id),
            act=requests.act(request.reason, parts.clock.now()),
            dry_run=request.validate_only,
        )
        owner = await parts.ledger.device_status(parts.tenant, name, period=request.period)
        return pb2.SummarisePeriodResponse(
            period=device_wire.summarised(record, lock_day=owner.limits.lock_day),
            replayed=replayed,
        )

    async def RotateKey(
        self, request: pb2.RotateKeyRequest, context: Context
    ) -> pb2.RotateKeyResponse:
        """Change the key of a device."""
        del context
        name = DeviceName(*parse_device_name(request.name, field="name"))
        if not request.reason.strip():
            raise InvalidRequest("reason", "FIELD_REQUIRED", "why it gets a new key")
        parts, now = self._parts, self._parts.clock.now()
        binding = requests.binding(parts.tenant, "rotate_key", request, request.request_id)
        act = requests.act(request.reason, now)
        replayed = False
        if request.validate_only:
            await parts.ledger.device_status(parts.tenant, name, period="")
        else:
            replayed = await parts.rotator.rotate(name, binding=binding, act=act)
        record = await parts.ledger.device_status(parts.tenant, name, period=period_of(now))
        return pb2.RotateKeyResponse(device=self._device(record), replayed=replayed)

    def _device(self, record: DeviceStatusRecord) -> pb2.DeviceStatus:
        active = [key.key_id for key in record.device.keys if key.active]
        return device_wire.device(
            record,
            now=self._parts.clock.now(),
            signing_available=any(map(self._parts.signer.available, active)),
        )


def _after(token: str) -> tuple[str, str]:
    if not token:
        return "", ""
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise InvalidRequest("page_token", "FIELD_FORMAT", "not a token of this list")
    return match[1], match[2]
