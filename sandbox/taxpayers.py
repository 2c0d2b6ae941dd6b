"""The sample taxpayers made ready: registered, with stock at every point of every type."""

from collections import Counter as Counting
from collections.abc import Sequence
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


def register_samples(connection: Connection) -> list[Taxpayer]:
    """Register every taxpayer of ``samples/taxpayers.json``; running it again changes nothing.

    The answer is the registrations as granted. Raises ``CallFailed``.
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
        for taxpayer in registration.taxpayers((SAMPLES / "taxpayers.json").read_bytes())
    ]


def stock_up(connection: Connection, places: Sequence[Counter], *, low: int, count: int) -> int:
    """Draw and assign ``count`` numbers for each place that has fewer than ``low`` left.

    The answer is how many numbers were drawn. Raises ``CallFailed``.
    """
    needy = [place for place in places if _left(connection, place) < low]
    stub = StockAdminServiceStub(connection.channel)
    wanted = Counting((place.taxpayer.name, place.grant.type) for place in needy)
    for (parent, type_code), points in wanted.items():
        draw = DrawStockRequest(
            request_id=str(uuid4()), parent=parent, type=type_code, count=points * count
        )
        connection.call(stub.DrawStock, draw)
    for place in needy:
        assign = AssignStockRequest(
            request_id=str(uuid4()), point=place.point_name, type=place.grant.type, count=count
        )
        connection.call(stub.AssignStock, assign)
    return len(needy) * count


def _left(connection: Connection, place: Counter) -> int:
    stub = StockServiceStub(connection.channel)
    request = GetStockRequest(parent=place.point_name, type=place.grant.type)
    levels = connection.call(stub.GetStock, request).levels
    return sum(level.available_count for level in levels)
