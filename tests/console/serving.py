"""A fake gateway on a port, which may go away and come back."""

from concurrent.futures import ThreadPoolExecutor

import grpc

from taxcontrol.admin.v1 import (
    alert_service_pb2,
    audit_service_pb2,
    desk_service_pb2,
    device_service_pb2,
    taxpayer_service_pb2,
    upload_admin_service_pb2,
)
from taxcontrol.v1 import invoice_service_pb2
from tests.console.fake_gateway import FakeGateway
from tests.taxctl.handlers import add_service

_SERVICES = (
    (desk_service_pb2, "DeskService"),
    (alert_service_pb2, "AlertService"),
    (device_service_pb2, "DeviceService"),
    (upload_admin_service_pb2, "UploadAdminService"),
    (audit_service_pb2, "AuditService"),
    (taxpayer_service_pb2, "TaxpayerService"),
    (invoice_service_pb2, "InvoiceService"),
)
_STOP_S = 1.0


class Serving:
    """A fake gateway on a port of its own, which it keeps over restarts."""

    def __init__(self, gateway: FakeGateway) -> None:
        self._gateway = gateway
        self._server: grpc.Server | None = None
        self.port = 0

    @property
    def target(self) -> str:
        """Where it is called."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve, on the port it had before if any."""
        server = grpc.server(ThreadPoolExecutor(16), options=(("grpc.so_reuseport", 0),))
        for module, service in _SERVICES:
            add_service(server, module.DESCRIPTOR.services_by_name[service], self._gateway)
        self.port = server.add_insecure_port(self.target)
        server.start()
        self._server = server

    def stop(self) -> None:
        """Stop, as a gateway that goes away: its watches break off."""
        if self._server is not None:
            self._server.stop(None).wait(_STOP_S)
        self._server = None
