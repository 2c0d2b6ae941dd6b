"""The services of the contract, each handed what does its work, and what each needs to be ready."""

import asyncio

import grpc

from gateway.alert_service import AlertServicer
from gateway.audit_service import AuditServicer
from gateway.desk_service import DeskServicer
from gateway.device_service import DeviceParts, DeviceServicer
from gateway.health import Need
from gateway.invoice_service import InvoiceServicer
from gateway.issue_stream import IssueStreams
from gateway.issuing import Issuing
from gateway.parts import TENANT, Parts, Workings
from gateway.prepare import Preparer
from gateway.register import Registrar
from gateway.reverse import Reversal
from gateway.rotate import Rotator
from gateway.stock_admin_service import StockAdminServicer
from gateway.stock_service import StockServicer
from gateway.taxpayer_service import TaxpayerServicer
from gateway.upload_admin_service import UploadAdminServicer
from taxcontrol.admin.v1 import (
    alert_service_pb2,
    alert_service_pb2_grpc,
    audit_service_pb2,
    audit_service_pb2_grpc,
    desk_service_pb2,
    desk_service_pb2_grpc,
    device_service_pb2,
    device_service_pb2_grpc,
    stock_admin_service_pb2,
    stock_admin_service_pb2_grpc,
    taxpayer_service_pb2,
    taxpayer_service_pb2_grpc,
    upload_admin_service_pb2,
    upload_admin_service_pb2_grpc,
)
from taxcontrol.v1 import (
    invoice_service_pb2,
    invoice_service_pb2_grpc,
    stock_service_pb2,
    stock_service_pb2_grpc,
)

NEEDS = {
    invoice_service_pb2.DESCRIPTOR.services_by_name["InvoiceService"].full_name: (
        Need.LEDGER_AND_DEVICE
    ),
    stock_service_pb2.DESCRIPTOR.services_by_name["StockService"].full_name: Need.LEDGER,
    taxpayer_service_pb2.DESCRIPTOR.services_by_name["TaxpayerService"].full_name: (
        Need.LEDGER_AND_DEVICE
    ),
    stock_admin_service_pb2.DESCRIPTOR.services_by_name["StockAdminService"].full_name: (
        Need.LEDGER
    ),
    upload_admin_service_pb2.DESCRIPTOR.services_by_name["UploadAdminService"].full_name: (
        Need.LEDGER
    ),
    device_service_pb2.DESCRIPTOR.services_by_name["DeviceService"].full_name: (
        Need.LEDGER_AND_DEVICE
    ),
    audit_service_pb2.DESCRIPTOR.services_by_name["AuditService"].full_name: Need.LEDGER,
    alert_service_pb2.DESCRIPTOR.services_by_name["AlertService"].full_name: Need.LEDGER,
    desk_service_pb2.DESCRIPTOR.services_by_name["DeskService"].full_name: Need.LEDGER,
}


def add_servicers(
    server: grpc.aio.Server, parts: Parts, workings: Workings, *, draining: asyncio.Event
) -> None:
    """Put every service of the contract on ``server``; ``draining`` ends streams in order."""
    ledger, clock, registry = parts.ledger, parts.clock, workings.registry
    reading = workings.reading
    preparer = Preparer(
        registry=registry, signer=parts.signer, authorities=parts.authorities, tenant=TENANT
    )
    issuing = Issuing(
        issuer=workings.issuer,
        preparer=preparer,
        ledger=ledger,
        registry=registry,
        measures=parts.measures,
    )
    invoice_service_pb2_grpc.add_InvoiceServiceServicer_to_server(
        InvoiceServicer(
            issuing=issuing,
            preparer=preparer,
            streams=IssueStreams(
                issuer=workings.issuer,
                issuing=issuing,
                preparer=preparer,
                draining=draining,
                stream_count_max=parts.config.issue.stream_count_max,
                unanswered_max=parts.config.issue.stream_unanswered_max,
            ),
            reversal=Reversal(preparer=preparer, ledger=ledger),
            voids=workings.voids,
            lister=reading.lister,
            watcher=reading.watcher,
            verifier=reading.verifier,
            ledger=ledger,
            tenant=TENANT,
        ),
        server,
    )
    stock_service_pb2_grpc.add_StockServiceServicer_to_server(
        StockServicer(ledger=ledger, registry=registry, clock=clock, tenant=TENANT), server
    )
    registrar = Registrar(ledger=ledger, authorities=parts.authorities, signer=parts.signer)
    taxpayer_service_pb2_grpc.add_TaxpayerServiceServicer_to_server(
        TaxpayerServicer(
            registrar=registrar, registry=registry, ledger=ledger, clock=clock, tenant=TENANT
        ),
        server,
    )
    stock_admin_service_pb2_grpc.add_StockAdminServiceServicer_to_server(
        StockAdminServicer(
            drawer=workings.drawer,
            returner=workings.returner,
            voids=workings.voids,
            ledger=ledger,
            registry=registry,
            clock=clock,
            tenant=TENANT,
        ),
        server,
    )
    upload_admin_service_pb2_grpc.add_UploadAdminServiceServicer_to_server(
        UploadAdminServicer(
            uploader=workings.uploader, ledger=ledger, registry=registry, clock=clock, tenant=TENANT
        ),
        server,
    )
    audit_service_pb2_grpc.add_AuditServiceServicer_to_server(
        AuditServicer(ledger=ledger, tenant=TENANT), server
    )
    alert_service_pb2_grpc.add_AlertServiceServicer_to_server(
        AlertServicer(
            engine=workings.desk.alerts,
            delivery=workings.desk.delivery,
            hub=workings.desk.alert_hub,
            tokens=reading.tokens,
            ledger=ledger,
            registry=registry,
            clock=clock,
            tenant=TENANT,
        ),
        server,
    )
    desk_service_pb2_grpc.add_DeskServiceServicer_to_server(
        DeskServicer(
            surveyor=workings.desk.surveyor,
            hub=workings.desk.hub,
            alerts=workings.desk.alerts,
            ledger=ledger,
            registry=registry,
            clock=clock,
            tenant=TENANT,
        ),
        server,
    )
    device_service_pb2_grpc.add_DeviceServiceServicer_to_server(
        DeviceServicer(
            DeviceParts(
                summariser=workings.summariser,
                rotator=Rotator(
                    ledger=ledger,
                    registry=registry,
                    signer=parts.signer,
                    authorities=parts.authorities,
                ),
                ledger=ledger,
                signer=parts.signer,
                authorities=parts.authorities,
                clock=clock,
                tenant=TENANT,
            )
        ),
        server,
    )
