"""The servicer of ``TaxpayerService``."""

from typing import Any

import grpc

from gateway import convert, offline_wire, requests
from gateway.application import application
from gateway.clock import Clock
from gateway.register import Registrar
from gateway.registry import Registry
from invoice.identifiers import device_name, parse_taxpayer_name, point_name, taxpayer_name
from ledger.port import Ledger
from ledger.records import DeviceRecord, TaxpayerRecord
from taxcontrol.admin.v1 import taxpayer_pb2, taxpayer_service_pb2_grpc
from taxcontrol.admin.v1 import taxpayer_service_pb2 as pb2

Context = grpc.aio.ServicerContext[Any, Any]

_FIRST = "taxpayers/"
# Below gRPC's default of 4 MiB; what one taxpayer may have is bounded in `application`.
_PAGE_BYTES_MAX = 3 * 1024 * 1024


class TaxpayerServicer(taxpayer_service_pb2_grpc.TaxpayerServiceServicer):
    """Registers taxpayers and shows them."""

    def __init__(
        self,
        *,
        registrar: Registrar,
        registry: Registry,
        ledger: Ledger,
        clock: Clock,
        tenant: str,
    ) -> None:
        self._registrar = registrar
        self._registry = registry
        self._ledger = ledger
        self._clock = clock
        self._tenant = tenant

    async def RegisterTaxpayer(
        self, request: pb2.RegisterTaxpayerRequest, context: Context
    ) -> pb2.RegisterTaxpayerResponse:
        """Register one taxpayer."""
        del context
        record, replayed = await self._registrar.register(
            application(request.taxpayer),
            binding=requests.binding(
                self._tenant, "register_taxpayer", _asked(request), request.request_id
            ),
            act=requests.act(request.reason, self._clock.now()),
            dry_run=request.validate_only,
        )
        return pb2.RegisterTaxpayerResponse(taxpayer=_wire(record), replayed=replayed)

    async def GetTaxpayer(
        self, request: pb2.GetTaxpayerRequest, context: Context
    ) -> pb2.GetTaxpayerResponse:
        """Answer one taxpayer."""
        del context
        tax_number = parse_taxpayer_name(request.name)
        record = await self._registry.reload(self._tenant, tax_number)
        return pb2.GetTaxpayerResponse(taxpayer=_wire(record))

    async def ListTaxpayers(
        self, request: pb2.ListTaxpayersRequest, context: Context
    ) -> pb2.ListTaxpayersResponse:
        """Answer one page of taxpayers, shorter than asked where they are large."""
        del context
        size = requests.page_size(request.page_size, default=50, most=500)
        after = request.page_token
        if after:
            after = parse_taxpayer_name(_FIRST + after, field="page_token")
        found = await self._ledger.taxpayers(self._tenant, after=after, count_max=size + 1)
        page = _page([_wire(record, certificates=False) for record in found[:size]])
        return pb2.ListTaxpayersResponse(
            taxpayers=page,
            next_page_token=page[-1].tax_number if len(found) > len(page) else "",
        )

    async def SetOfflineLimits(
        self, request: pb2.SetOfflineLimitsRequest, context: Context
    ) -> pb2.SetOfflineLimitsResponse:
        """Keep below the authority's offline limits."""
        del context
        tax_number = parse_taxpayer_name(request.parent, field="parent")
        limits, replayed = await self._ledger.set_offline_limits(
            tax_number=tax_number,
            limits=offline_wire.asked_limits(request.offline_limits),
            binding=requests.binding(
                self._tenant, "set_offline_limits", request, request.request_id
            ),
            act=requests.act_for_reason(request.reason, self._clock.now()),
            dry_run=request.validate_only,
        )
        if not request.validate_only:
            await self._registry.reload(self._tenant, tax_number)
        return pb2.SetOfflineLimitsResponse(
            offline_limits=offline_wire.limits(limits), replayed=replayed
        )


def _asked(request: pb2.RegisterTaxpayerRequest) -> pb2.RegisterTaxpayerRequest:
    """The request without what only answers have, which is ignored in a registration."""
    asked = pb2.RegisterTaxpayerRequest()
    asked.CopyFrom(request)
    taxpayer = asked.taxpayer
    taxpayer.ClearField("name")
    taxpayer.ClearField("devices")
    taxpayer.ClearField("offline_limits")
    taxpayer.ClearField("granted_offline_limits")
    taxpayer.ClearField("windows")
    taxpayer.ClearField("version")
    taxpayer.ClearField("registration_time")
    for point in taxpayer.points:
        point.ClearField("name")
        point.ClearField("machine_number")
    return asked


def _page(found: list[taxpayer_pb2.Taxpayer]) -> list[taxpayer_pb2.Taxpayer]:
    """The first of ``found`` that fit an answer, at least one."""
    size = 0
    for index, taxpayer in enumerate(found):
        size += taxpayer.ByteSize()
        if index and size > _PAGE_BYTES_MAX:
            return found[:index]
    return found


def _wire(record: TaxpayerRecord, *, certificates: bool = True) -> taxpayer_pb2.Taxpayer:
    taxpayer = record.taxpayer
    wire = taxpayer_pb2.Taxpayer(
        name=taxpayer_name(taxpayer.tax_number),
        tax_number=taxpayer.tax_number,
        display_name=taxpayer.name,
        address_phone=taxpayer.address_phone,
        bank_account=taxpayer.bank_account,
        type_grants=[
            taxpayer_pb2.TypeGrant(
                type=grant.type,
                rates_ppm=sorted(grant.rates_ppm),
                invoice_limit_fen=grant.invoice_limit_fen,
                holding_count_max=record.holding_count_max.get(grant.type, 0),
            )
            for grant in sorted(taxpayer.grants.values(), key=lambda grant: grant.type)
        ],
        points=[
            taxpayer_pb2.Point(
                name=point_name(taxpayer.tax_number, point.point),
                number=point.point,
                machine_number=point.machine_number,
                organisation=point.organisation,
            )
            for point in record.points
        ],
        devices=[
            _wire_device(taxpayer.tax_number, device, certificates=certificates)
            for device in record.devices
        ],
        offline_limits=offline_wire.limits(record.limits_in_force),
        granted_offline_limits=offline_wire.limits(record.offline_limits),
        windows=[
            taxpayer_pb2.RateWindow(
                period_ms=round(window.period_s * 1000), call_count_max=window.call_count_max
            )
            for window in record.windows
        ],
        version=taxpayer.version,
    )
    wire.registration_time.CopyFrom(convert.timestamp(record.registered_at))
    return wire


def _wire_device(
    tax_number: str, device: DeviceRecord, *, certificates: bool
) -> taxpayer_pb2.Device:
    wire = taxpayer_pb2.Device(
        name=device_name(tax_number, device.machine_number),
        machine_number=device.machine_number,
        kind=device.kind,
    )
    for key in device.keys:
        if key.active:
            wire.key_id, wire.key_algorithm = key.key_id, key.algorithm
            wire.certificate = key.certificate if certificates else b""
    return wire
