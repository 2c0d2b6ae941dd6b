"""The sample taxpayers made ready: registered, with stock at every point of every type."""

from collections import Counter as Counting
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from sandbox.invoices import Counter
from sandbox.layout import SAMPLES
from taxcontrol.admin.v1.stock_admin_service_pb2 import AssignStockRequest, DrawStockRequest
from taxcontrol.admin.v1.stock_admin_service_pb2_grpc import StockAdminServiceStub
from taxcontrol.admin.v1.taxpayer_pb2 import Taxpayer
from taxcontrol.admin.v1.taxpayer_service_pb2 import RegisterTaxpayerRequest
from taxcontrol.admin.v1.taxpayer_service_pb2_grpc import TaxpayerServiceStub
from taxcontrol.v1.stock_service_pb2 import GetStockRequest
from taxcontrol.v1.stock_service_pb2_grpc import StockServiceStub
from taxctl import registration
from taxctl.connection import Connection

VAT_SELLERS: Final = "taxpayers.json"
_FILES: Final = (VAT_SELLERS, "taxpayers-json.json")


def register_samples(connection: Connection, *files: str) -> list[Taxpayer]:
    """Register the taxpayers of ``files`` of ``samples/``, of all without any.

    Running it again changes nothing. The answer is the registrations as granted. Raises ``CallFailed``.
    """
    stub = TaxpayerServiceStub(connection.channel)
    return [
        connection.call(
            stub.RegisterTaxpayer,
            RegisterTaxpayerRequest(
                request_id=f"register-{taxpayer.tax_number}",
                taxpayer=taxpayer,
                reason="sample taxpayer",
            ),
        ).taxpayer
        for file in files or _FILES
        for taxpayer in registration.taxpayers((SAMPLES / file).read_bytes())
    ]


def stock_up(connection: Connection, places: Sequence[Counter], *, low: int, count: int) -> int:
    """Draw and assign ``count`` numbers for each place that has fewer than ``low`` left.

    The answer is how many numbers were drawn. Raises ``CallFailed``.
    """
    needy = [place for place in places if _left(connection, place) < low]
    stub = StockAdminServiceStub(connection.channel)
    wanted = Counting((place.taxpayer.name, place.grant.type) for place in needy)
    for (parent, type_code), points in wanted.items():
        _draw(connection, parent, type_code, points * count)
    for place in needy:
        assign = AssignStockRequest(
            request_id=str(uuid4()), point=place.point_name, type=place.grant.type, count=count
        )
        connection.call(stub.AssignStock, assign)
    return len(needy) * count


def _draw(connection: Connection, parent: str, type_code: str, count: int) -> None:
    """Draw until the pool has ``count`` more: a grant may hold fewer numbers than asked for."""
    stub = StockAdminServiceStub(connection.channel)
    missing = count
    while missing > 0:
        draw = DrawStockRequest(
            request_id=str(uuid4()), parent=parent, type=type_code, count=missing
        )
        missing -= connection.call(stub.DrawStock, draw).grant.total_count


def _left(connection: Connection, place: Counter) -> int:
    stub = StockServiceStub(connection.channel)
    request = GetStockRequest(parent=place.point_name, type=place.grant.type)
    levels = connection.call(stub.GetStock, request).levels
    return sum(level.available_count for level in levels)
