"""Every write of an operator, each as a request that has an effect; and how any of them is called."""

import importlib
import pkgutil
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

import taxcontrol.admin.v1
from taxcontrol.admin.v1 import (
    alert_pb2,
    alert_service_pb2,
    device_service_pb2,
    segment_pb2,
    stock_admin_service_pb2,
    stock_threshold_pb2,
    taxpayer_pb2,
    taxpayer_service_pb2,
    upload_admin_service_pb2,
)
from taxcontrol.v1 import stock_service_pb2, stock_service_pb2_grpc
from tests.e2e.sellers import Seller, new_tax_number
from tests.fakes.month_office import Desk, MonthOffice, until

APRIL = "2027-04-01T00:00:05"
_READS = re.compile("(List|Get|Watch|Check)[A-Z]")
_TYPE = "026"


def methods() -> dict[str, MethodDescriptor]:
    """Every method of the operators' contract, by name."""
    found: dict[str, MethodDescriptor] = {}
    for module in pkgutil.iter_modules(taxcontrol.admin.v1.__path__):
        if module.name.endswith("_pb2"):
            file = importlib.import_module(f"taxcontrol.admin.v1.{module.name}").DESCRIPTOR
            for service in file.services_by_name.values():
                found |= {method.name: method for method in service.methods}
    return found


def is_write(method: MethodDescriptor) -> bool:
    """Whether it changes something: by what it takes, or by its name."""
    takes = {"validate_only", "request_id"} & set(method.input_type.fields_by_name)
    return bool(takes) or not _READS.match(method.name)


async def call(channel: grpc.aio.Channel, request: Any, *, operator: str) -> Any:
    """Call the one method that takes such a request."""
    [method] = [one for one in methods().values() if one.input_type is request.DESCRIPTOR]
    invoke: Any = channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    return await invoke(request, metadata=(("operator", operator),))


@dataclass(slots=True)
class Scene:
    """A gateway, and a seller with stock, a pool, and an invoice that the authority has refused."""

    office: MonthOffice
    desk: Desk
    seller: Seller
    device: str

    async def segments(self, *, pool: bool) -> list[segment_pb2.Segment]:
        """Its segments in the pool, or at points."""
        asked = stock_admin_service_pb2.ListSegmentsRequest(parent=self.seller.name)
        found = (await self.desk.stock.ListSegments(asked)).segments
        return [one for one in found if bool(one.point) is not pool]


Write = tuple[Any, str]
"""A request without id, reason and ``validate_only``; and what it is done to."""


async def _alert(scene: Scene) -> Write:
    asked = alert_service_pb2.ListAlertsRequest(parent=scene.seller.name, open_only=True)
    names: list[str] = []

    async def raised() -> bool:
        alerts = (await call(scene.desk.channel, asked, operator="li.wei")).alerts
        names[:] = [one.name for one in alerts if one.state == alert_pb2.Alert.STATE_RAISED]
        return bool(names)

    await until(raised)
    return alert_service_pb2.AcknowledgeAlertRequest(name=names[0]), names[0]


async def _alert_thresholds(scene: Scene) -> Write:
    wanted = alert_pb2.AlertThresholds(unuploaded_count=77)
    name = scene.seller.name
    return alert_service_pb2.SetAlertThresholdsRequest(parent=name, thresholds=wanted), name


async def _draw(scene: Scene) -> Write:
    name = scene.seller.name
    return stock_admin_service_pb2.DrawStockRequest(parent=name, type=_TYPE, count=20), name


async def _assign(scene: Scene) -> Write:
    point = scene.seller.point()
    return stock_admin_service_pb2.AssignStockRequest(point=point, type=_TYPE, count=10), point


async def _recall(scene: Scene) -> Write:
    point = scene.seller.point()
    return stock_admin_service_pb2.RecallStockRequest(point=point, type=_TYPE, count=5), point


async def _return(scene: Scene) -> Write:
    segment = (await scene.segments(pool=True))[-1]
    request = stock_admin_service_pb2.ReturnStockRequest(
        parent=scene.seller.name, segment_id=segment.segment_id, count=2
    )
    return request, scene.seller.name


async def _blank_void(scene: Scene) -> Write:
    stock: Any = stock_service_pb2_grpc.StockServiceStub(scene.desk.channel)
    asked = stock_service_pb2.GetStockRequest(parent=scene.seller.point(), type=_TYPE)
    [level] = (await stock.GetStock(asked)).levels
    request = stock_admin_service_pb2.VoidBlankNumberRequest(
        point=scene.seller.point(), type=_TYPE, code=level.next_code, number=level.next_number
    )
    return request, f"{scene.seller.name}/invoices/{level.next_code}-{level.next_number}"


async def _stock_threshold(scene: Scene) -> Write:
    threshold = stock_threshold_pb2.StockThreshold(
        parent=scene.seller.point(), type=_TYPE, low_count=5, target_count=20
    )
    request = stock_admin_service_pb2.SetStockThresholdRequest(threshold=threshold)
    return request, scene.seller.point()


async def _register(_: Scene) -> Write:
    another = Seller(tax_number=new_tax_number())
    return another.registration(""), another.name


async def _offline_limits(scene: Scene) -> Write:
    wanted = taxpayer_pb2.OfflineLimits(count_max=90)
    name = scene.seller.name
    return taxpayer_service_pb2.SetOfflineLimitsRequest(parent=name, offline_limits=wanted), name


async def _rate(scene: Scene) -> Write:
    window = taxpayer_pb2.RateWindow(period_ms=1000, call_count_max=3)
    name = scene.seller.name
    return upload_admin_service_pb2.SetUploadRateRequest(parent=name, windows=[window]), name


async def _pause(scene: Scene) -> Write:
    return upload_admin_service_pb2.PauseUploadsRequest(parent=scene.seller.name), scene.seller.name


async def _resume(scene: Scene) -> Write:
    name = scene.seller.name
    return upload_admin_service_pb2.ResumeUploadsRequest(parent=name), name


async def _rotate(scene: Scene) -> Write:
    return device_service_pb2.RotateKeyRequest(name=scene.device), scene.device


async def _retry(scene: Scene) -> Write:
    return upload_admin_service_pb2.RetryUploadsRequest(parent=scene.seller.name), scene.seller.name


async def _summarise(scene: Scene) -> Write:
    await scene.desk.drained(scene.seller)
    await scene.office.go_to(APRIL)
    request = device_service_pb2.SummarisePeriodRequest(name=scene.device, period="2027-03")
    return request, scene.device


WRITES: dict[str, Callable[[Scene], Awaitable[Write]]] = {
    "RegisterTaxpayer": _register,
    "AcknowledgeAlert": _alert,
    "SetAlertThresholds": _alert_thresholds,
    "SetStockThreshold": _stock_threshold,
    "SetOfflineLimits": _offline_limits,
    "DrawStock": _draw,
    "AssignStock": _assign,
    "RecallStock": _recall,
    "ReturnStock": _return,
    "VoidBlankNumber": _blank_void,
    "SetUploadRate": _rate,
    "PauseUploads": _pause,
    "ResumeUploads": _resume,
    "RotateKey": _rotate,
    # What is refused stands in the way of the month, so these are last.
    "RetryUploads": _retry,
    "SummarisePeriod": _summarise,
}
"""In an order in which each has something to do."""
