"""The servicer of ``TaxpayerService``."""

from collections import Counter
from typing import Any

import grpc

from authority.port import TypeAllowance
from gateway import convert, requests
from gateway.clock import Clock
from gateway.register import Application, Registrar
from gateway.registry import Registry
from invoice.document import Party
from invoice.errors import InvalidRequest
from invoice.identifiers import (
    POINT_MAX,
    device_name,
    parse_taxpayer_name,
    point_name,
    social_credit_code_valid,
    taxpayer_name,
)
from invoice.types import TYPES
from ledger.port import Ledger
from ledger.records import DeviceRecord, OfflineLimits, TaxpayerRecord
from taxcontrol.admin.v1 import taxpayer_pb2, taxpayer_service_pb2_grpc
from taxcontrol.admin.v1 import taxpayer_service_pb2 as pb2

Context = grpc.aio.ServicerContext[Any, Any]

_FIRST = "taxpayers/"
# Together they keep every answer about one taxpayer under gRPC's default of 4 MiB.
_POINT_COUNT_MAX = 5000
_RATE_COUNT_MAX = 100
_ORGANISATION_CHARACTERS_MAX = 100
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
            _application(request.taxpayer),
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


def _asked(request: pb2.RegisterTaxpayerRequest) -> pb2.RegisterTaxpayerRequest:
    """The request without what only answers have, which is ignored in a registration."""
    asked = pb2.RegisterTaxpayerRequest()
    asked.CopyFrom(request)
    taxpayer = asked.taxpayer
    taxpayer.ClearField("name")
    taxpayer.ClearField("devices")
    taxpayer.ClearField("offline_limits")
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


def _application(wire: taxpayer_pb2.Taxpayer) -> Application:
    """What is asked for; raise ``InvalidRequest`` naming the field."""
    _check_seller(wire)
    _check_grants(wire)
    _check_points(wire)
    return Application(
        seller=Party(
            tax_number=wire.tax_number,
            name=wire.display_name,
            address_phone=wire.address_phone,
            bank_account=wire.bank_account,
        ),
        wanted=tuple(
            TypeAllowance(
                type=grant.type,
                rates_ppm=tuple(sorted(set(grant.rates_ppm))),
                invoice_limit_fen=grant.invoice_limit_fen,
                holding_count_max=grant.holding_count_max,
            )
            for grant in wire.type_grants
        ),
        points=tuple((point.number, point.organisation) for point in wire.points),
    )


def _check_seller(wire: taxpayer_pb2.Taxpayer) -> None:
    if not social_credit_code_valid(wire.tax_number):
        raise InvalidRequest(
            "taxpayer.tax_number", "TAX_NUMBER_INVALID", "not a unified social credit code"
        )
    for name in ("display_name", "address_phone", "bank_account"):
        text = getattr(wire, name)
        if not text and name != "bank_account":
            raise InvalidRequest(f"taxpayer.{name}", "FIELD_REQUIRED", "must not be empty")
        try:
            size = len(text.encode("gbk"))
        except UnicodeEncodeError:
            raise InvalidRequest(f"taxpayer.{name}", "FIELD_FORMAT", "not in GBK") from None
        if size > 100:
            raise InvalidRequest(f"taxpayer.{name}", "FIELD_TOO_LONG", "at most 100 GBK bytes")


def _check_grants(wire: taxpayer_pb2.Taxpayer) -> None:
    if not wire.type_grants:
        raise InvalidRequest("taxpayer.type_grants", "FIELD_REQUIRED", "at least one type")
    for index, grant in enumerate(wire.type_grants):
        field = f"taxpayer.type_grants[{index}]"
        if grant.type not in TYPES:
            raise InvalidRequest(f"{field}.type", "FIELD_FORMAT", "no such invoice type")
        if not grant.rates_ppm:
            raise InvalidRequest(f"{field}.rates_ppm", "FIELD_REQUIRED", "at least one rate")
        if not all(0 <= rate <= 1_000_000 for rate in grant.rates_ppm):
            raise InvalidRequest(f"{field}.rates_ppm", "FIELD_RANGE", "must be 0 to 1000000")
        if len(set(grant.rates_ppm)) > _RATE_COUNT_MAX:
            raise InvalidRequest(
                f"{field}.rates_ppm", "FIELD_RANGE", f"at most {_RATE_COUNT_MAX} rates"
            )
        if grant.invoice_limit_fen <= 0:
            raise InvalidRequest(f"{field}.invoice_limit_fen", "FIELD_RANGE", "must be above 0")
        if grant.holding_count_max < 0:
            raise InvalidRequest(
                f"{field}.holding_count_max", "FIELD_RANGE", "must not be negative"
            )
    _check_distinct("taxpayer.type_grants", [grant.type for grant in wire.type_grants])


def _check_points(wire: taxpayer_pb2.Taxpayer) -> None:
    if not wire.points:
        raise InvalidRequest("taxpayer.points", "FIELD_REQUIRED", "at least point 0")
    if len(wire.points) > _POINT_COUNT_MAX:
        raise InvalidRequest("taxpayer.points", "FIELD_RANGE", f"at most {_POINT_COUNT_MAX} points")
    for index, point in enumerate(wire.points):
        field = f"taxpayer.points[{index}]"
        if not 0 <= point.number <= POINT_MAX:
            raise InvalidRequest(f"{field}.number", "FIELD_RANGE", f"must be 0 to {POINT_MAX}")
        if len(point.organisation) > _ORGANISATION_CHARACTERS_MAX:
            raise InvalidRequest(
                f"{field}.organisation",
                "FIELD_TOO_LONG",
                f"at most {_ORGANISATION_CHARACTERS_MAX} characters",
            )
    _check_distinct("taxpayer.points", [point.number for point in wire.points])


def _check_distinct(field: str, values: list[Any]) -> None:
    value, times = Counter(values).most_common(1)[0]
    if times > 1:
        raise InvalidRequest(field, "FIELD_DUPLICATE", f"{value} appears {times} times")


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
        offline_limits=_wire_limits(record.offline_limits),
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


def _wire_limits(limits: OfflineLimits) -> taxpayer_pb2.OfflineLimits:
    return taxpayer_pb2.OfflineLimits(
        age_hours_max=limits.age_hours_max,
        amount_fen_max=limits.amount_fen_max,
        count_max=limits.count_max,
        lock_day=limits.lock_day,
    )
