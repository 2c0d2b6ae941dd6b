"""A merchant (商户): many shops, each with its own stock; mistakes voided, spoilt forms voided blank."""

from collections import deque

from locust import between, task

from loadtests import checks
from loadtests.grpc_user import GrpcUser
from loadtests.papers import Papers
from taxcontrol.admin.v1.stock_admin_service_pb2 import VoidBlankNumberRequest
from taxcontrol.admin.v1.stock_admin_service_pb2_grpc import StockAdminServiceStub
from taxcontrol.v1.invoice_pb2 import IssuedInvoice
from taxcontrol.v1.invoice_reversal_pb2 import VoidInvoiceRequest
from taxcontrol.v1.stock_service_pb2 import GetStockRequest
from taxcontrol.v1.stock_service_pb2_grpc import StockServiceStub

_MISTAKE = "开具有误"
_SPOILT = "纸张损坏"
_KEPT = 30


class MerchantUser(GrpcUser):
    """A cashier who stands in for whoever is away, so in another shop each time."""

    weight = 4
    wait_time = between(0.2, 0.8)

    def on_start(self) -> None:
        """Open the shops."""
        super().on_start()
        self.places = self.worker.places["merchant"]
        self.sales = Papers(self.places)
        self.sold: deque[IssuedInvoice] = deque(maxlen=_KEPT)
        channel = self.worker.connection.channel
        self.stock, self.admin = StockServiceStub(channel), StockAdminServiceStub(channel)

    @task(20)
    def sell(self) -> None:
        """Sell something in any of the shops."""
        sale = self.issue("merchant: sale", self.sales.draw(self.random))
        if sale is not None:
            self.sold.append(sale)

    @task(1)
    def void(self) -> None:
        """Void what was just sold."""
        if not self.sold:
            return
        sale = self.sold.pop()
        request = VoidInvoiceRequest(request_id=self.new_id, name=sale.name, reason=_MISTAKE)
        answer = self.call("merchant: void", self.invoices.VoidInvoice, request)
        if answer is not None:
            faults = checks.void_faults(
                sale, answer.void_statement, request_id=request.request_id, reason=_MISTAKE
            )
            self.check_void("merchant: void", faults, answer.void_statement)

    @task(1)
    def void_blank(self) -> None:
        """Void a shop's next number; another cashier may take it first, which is nobody's fault."""
        place = self.random.choice(self.places)
        asked = GetStockRequest(parent=place.point_name, type=place.grant.type)
        answer = self.call("merchant: stock", self.stock.GetStock, asked)
        if answer is None or not answer.levels or not answer.levels[0].next_number:
            return
        level = answer.levels[0]
        request = VoidBlankNumberRequest(
            request_id=self.new_id,
            point=place.point_name,
            type=place.grant.type,
            code=level.next_code,
            number=level.next_number,
            reason=_SPOILT,
        )
        voided = self.call(
            "merchant: blank void",
            self.admin.VoidBlankNumber,
            request,
            expected={"NUMBER_NOT_BLANK"},
        )
        if voided is not None:
            statement = voided.void_statement
            faults = checks.blank_void_faults(
                statement,
                code=level.next_code,
                number=level.next_number,
                request_id=request.request_id,
                reason=_SPOILT,
            )
            self.check_void("merchant: blank void", faults, statement)
