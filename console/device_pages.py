"""Devices: keys, certificates, counters, and what each would show on its panel."""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from console import names
from console.failure import CallFailed
from console.pages import Pages
from taxcontrol.admin.v1.device_service_pb2 import (
    GetMonitorInfoRequest,
    ListDevicesRequest,
    ListDevicesResponse,
)
from taxcontrol.admin.v1.device_service_pb2_grpc import DeviceServiceStub

if TYPE_CHECKING:
    from taxcontrol.admin.v1.device_service_pb2_grpc import DeviceServiceAsyncStub

# A certificate that ends within so many days is said loudly; the default of the gateway's own alert.
SOON_DAYS = 30


class DevicePages:
    """The devices of all taxpayers, and each by itself."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def list(self, request: Request) -> Response:
        """``GET /devices``."""
        token = request.query_params.get("page", "")
        listed, failure = ListDevicesResponse(), None
        try:
            listed = await self._pages.connection.call(
                self._stub.ListDevices, ListDevicesRequest(page_token=token)
            )
        except CallFailed as error:
            failure = error.failure
        return self._pages.show(
            request,
            "devices.html",
            active="devices",
            status=200 if failure is None else failure.http_status,
            devices=listed.devices,
            next_token=listed.next_page_token,
            soon_days=SOON_DAYS,
            failure=failure,
        )

    async def show(self, request: Request) -> Response:
        """``GET /taxpayers/{tax_number}/devices/{machine_number}``."""
        taxpayer = names.taxpayer(request)
        name = f"{taxpayer}/devices/{names.part(request, 'machine_number')}"
        monitor = await self._pages.connection.call(
            self._stub.GetMonitorInfo, GetMonitorInfoRequest(name=name)
        )
        return self._pages.show(
            request,
            "device.html",
            active="devices",
            monitor=monitor,
            device=monitor.device,
            taxpayer=taxpayer,
            soon_days=SOON_DAYS,
        )

    @property
    def _stub(self) -> "DeviceServiceAsyncStub":
        return DeviceServiceStub(self._pages.connection.channel)
