"""The fake gateway as one thing: its books and the services on them, on a real server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from taxcontrol.admin.v1 import (
    alert_service_pb2,
    audit_service_pb2,
    desk_service_pb2,
    device_service_pb2,
    stock_admin_service_pb2,
    taxpayer_service_pb2,
    upload_admin_service_pb2,
)
from taxcontrol.v1 import invoice_service_pb2, stock_service_pb2
from tests.taxctl.books import Books
from tests.taxctl.handlers import add_service
from tests.taxctl.lookout import Lookout
from tests.taxctl.office import Office
from tests.taxctl.storeroom import Auditor, Mailroom, Storeroom
from tests.taxctl.workshop import Workshop


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeGateway:
    """Where it is called, and everything a test looks into."""

    target: str
    books: Books
    office: Office
    storeroom: Storeroom
    mailroom: Mailroom
    lookout: Lookout
    workshop: Workshop


@contextmanager
def fake_gateway() -> Iterator[FakeGateway]:
    """Serve fresh books on a free port."""
    books = Books()
    office, storeroom, mailroom = Office(books), Storeroom(books), Mailroom(books)
    lookout, workshop = Lookout(books), Workshop(books)
    server = grpc.server(ThreadPoolExecutor(16))
    for fake, name, file in (
        (office, "InvoiceService", invoice_service_pb2),
        (storeroom, "StockService", stock_service_pb2),
        (storeroom, "StockAdminService", stock_admin_service_pb2),
        (mailroom, "UploadAdminService", upload_admin_service_pb2),
        (Auditor(books), "AuditService", audit_service_pb2),
        (lookout, "DeskService", desk_service_pb2),
        (lookout, "AlertService", alert_service_pb2),
        (workshop, "DeviceService", device_service_pb2),
        (workshop, "TaxpayerService", taxpayer_service_pb2),
    ):
        add_service(server, file.DESCRIPTOR.services_by_name[name], fake)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield FakeGateway(
            target=f"127.0.0.1:{port}",
            books=books,
            office=office,
            storeroom=storeroom,
            mailroom=mailroom,
            lookout=lookout,
            workshop=workshop,
        )
    finally:
        office.cut()
        lookout.leave(away=True)
        server.stop(None).wait()
