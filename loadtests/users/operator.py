"""The operator: keeps every point in stock while it issues, and tries the month's closing."""

from datetime import datetime, timedelta, timezone

from locust import constant, task

from loadtests import shapes
from loadtests.grpc_user import GrpcUser
from loadtests.world import STOCK, STOCK_LOW
from taxcontrol.admin.v1.device_service_pb2 import SummarisePeriodRequest
from taxcontrol.admin.v1.device_service_pb2_grpc import DeviceServiceStub
from taxcontrol.admin.v1.stock_admin_service_pb2 import AssignStockRequest, DrawStockRequest
from taxcontrol.admin.v1.stock_admin_service_pb2_grpc import StockAdminServiceStub
from taxcontrol.v1.stock_service_pb2 import GetStockRequest
from taxcontrol.v1.stock_service_pb2_grpc import StockServiceStub

# Months are counted where the authority is.
_SHANGHAI = timezone(timedelta(hours=8))
_WHY = "load test"


class OperatorUser(GrpcUser):
    """One at the desk, however many callers there are."""

    fixed_count = 1
    wait_time = constant(1.0)

    def on_start(self) -> None:
        """Sit down at the desk."""
        super().on_start()
        channel = self.worker.connection.channel
        self.stock, self.admin = StockServiceStub(channel), StockAdminServiceStub(channel)
        self.devices = DeviceServiceStub(channel)
        self.taxpayers = [places[0].taxpayer.name for places in self.worker.places.values()]
        self.round = 0

    @task(4)
    def fill_up(self) -> None:
        """Look at the next taxpayer's points, and draw and assign where stock is low."""
        self.round += 1
        parent = self.taxpayers[self.round % len(self.taxpayers)]
        answer = self.call("operator: stock", self.stock.GetStock, GetStockRequest(parent=parent))
        for level in answer.levels if answer is not None else ():
            if level.point and level.available_count < STOCK_LOW:
                self._fill(parent, level.point, level.type)

    @task(1)
    def dry_run(self) -> None:
        """Ask what would be sent for last month (抄报), all devices at once at the month's end."""
        devices = [
            f"{taxpayer.name}/devices/{device.machine_number}"
            for places in self.worker.places.values()
            for taxpayer in [places[0].taxpayer]
            for device in taxpayer.devices
        ]
        if self.worker.options.shape != shapes.MONTH_END:
            devices = [self.random.choice(devices)]
        first = datetime.now(_SHANGHAI).replace(day=1)
        for name in devices:
            request = SummarisePeriodRequest(
                request_id=self.new_id,
                name=name,
                period=f"{first - timedelta(days=1):%Y-%m}",
                reason=_WHY,
                validate_only=True,
            )
            self.call(
                "operator: dry run of a month",
                self.devices.SummarisePeriod,
                request,
                # A month before the device's first one, or one that still has uploads open.
                expected={"PERIOD_NOT_CLOSABLE"},
            )

    def _fill(self, parent: str, point: str, type_code: str) -> None:
        missing = STOCK
        while missing > 0:
            draw = DrawStockRequest(
                request_id=self.new_id, parent=parent, type=type_code, count=missing, reason=_WHY
            )
            drawn = self.call("operator: draw", self.admin.DrawStock, draw)
            if drawn is None:
                return
            # Fully digital numbers are granted 5,000 at a time at most.
            missing -= drawn.grant.total_count
        assign = AssignStockRequest(
            request_id=self.new_id, point=point, type=type_code, count=STOCK, reason=_WHY
        )
        self.call("operator: assign", self.admin.AssignStock, assign)
