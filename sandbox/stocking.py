"""Giving numbers back: from a point to the pool, from there to the authority."""

from typing import Final

from sandbox.deeds import ReturnedNumbers
from sandbox.invoices import Counter
from sandbox.stage import DONATION, ELECTRONIC, Disagreement, Stage
from taxcontrol.admin.v1.segment_pb2 import Segment
from taxcontrol.admin.v1.stock_admin_service_pb2 import RecallStockRequest, ReturnStockRequest
from taxcontrol.admin.v1.stock_admin_service_pb2_grpc import StockAdminServiceStub

_COUNT: Final = 10
_WHY: Final = "demo: more than is needed"


def give_back(stage: Stage) -> None:
    """Recall numbers of a VAT type and of receipts, and return them to their authorities."""
    for type_code in (ELECTRONIC, DONATION):
        place = stage.place(type_code)
        for segment in _recall(stage, place):
            _return(stage, place, segment)
    stage.tell(
        "stock",
        f"{_COUNT} invoice and {_COUNT} receipt numbers recalled to the pool, and returned to their"
        " authorities",
    )


def _recall(stage: Stage, place: Counter) -> list[Segment]:
    stub = StockAdminServiceStub(stage.connection.channel)
    request = RecallStockRequest(
        request_id=stage.request_id(),
        point=place.point_name,
        type=place.grant.type,
        count=_COUNT,
        reason=_WHY,
    )
    segments = list(stage.connection.call(stub.RecallStock, request).segments)
    if any(one.point for one in segments) or sum(s.available_count for s in segments) != _COUNT:
        raise Disagreement(f"{_COUNT} numbers were recalled from {place.point_name}, not so many")
    return segments


def _return(stage: Stage, place: Counter, segment: Segment) -> None:
    stub = StockAdminServiceStub(stage.connection.channel)
    request = ReturnStockRequest(
        request_id=stage.request_id(),
        parent=place.taxpayer.name,
        segment_id=segment.segment_id,
        count=segment.available_count,
        reason=_WHY,
    )
    answer = stage.connection.call(stub.ReturnStock, request)
    gone = answer.segment
    if not answer.return_serial or gone.returned_count != segment.available_count:
        raise Disagreement(f"segment {segment.segment_id} was not returned")
    stage.deeds.returned.append(
        ReturnedNumbers(
            place.taxpayer.tax_number,
            gone.type,
            gone.code,
            gone.first_number,
            gone.returned_count,
        )
    )
