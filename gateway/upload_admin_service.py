"""The servicer of ``UploadAdminService``."""

from typing import Any

import grpc

from gateway import convert, requests
from gateway.registry import Registry
from gateway.upload.status import UploadStatus
from gateway.upload.uploader import Uploader
from invoice.identifiers import invoice_name, parse_taxpayer_name, taxpayer_name
from ledger.port import Ledger
from ledger.records import BacklogRecord, MeterRecord, OfflineLimits, UnuploadedRecord
from taxcontrol.admin.v1 import upload_admin_service_pb2 as pb2
from taxcontrol.admin.v1 import upload_admin_service_pb2_grpc, upload_pb2
from taxcontrol.v1 import invoice_pb2

Context = grpc.aio.ServicerContext[Any, Any]


class UploadAdminServicer(upload_admin_service_pb2_grpc.UploadAdminServiceServicer):
    """Shows what has not reached the authority."""

    def __init__(
        self, *, uploader: Uploader, ledger: Ledger, registry: Registry, tenant: str
    ) -> None:
        self._uploader = uploader
        self._ledger = ledger
        self._registry = registry
        self._tenant = tenant

    async def GetUploadStatus(
        self, request: pb2.GetUploadStatusRequest, context: Context
    ) -> pb2.GetUploadStatusResponse:
        """Answer where a taxpayer's uploads stand."""
        del context
        tax_number = parse_taxpayer_name(request.parent, field="parent")
        record = await self._registry.record(self._tenant, tax_number)
        backlog = await self._ledger.backlog(self._tenant, tax_number)
        pace = await self._uploader.status(tax_number)
        return pb2.GetUploadStatusResponse(status=_status(backlog, pace, record.offline_limits))

    async def ListUnuploaded(
        self, request: pb2.ListUnuploadedRequest, context: Context
    ) -> pb2.ListUnuploadedResponse:
        """Answer one page of events without acceptance."""
        del context
        tax_number = parse_taxpayer_name(request.parent, field="parent")
        size = requests.page_size(request.page_size, default=100, most=1000)
        after = requests.page_number(request.page_token)
        await self._registry.record(self._tenant, tax_number)
        found = await self._ledger.unuploaded(
            self._tenant, tax_number, after=after, count_max=size + 1
        )
        page = found[:size]
        return pb2.ListUnuploadedResponse(
            events=map(_event, page),
            next_page_token=str(page[-1].event_id) if len(found) > size else "",
        )


def _status(
    backlog: BacklogRecord, pace: UploadStatus, limits: OfflineLimits
) -> upload_pb2.UploadStatus:
    wire = upload_pb2.UploadStatus(
        taxpayer=taxpayer_name(backlog.tax_number),
        pending_count=backlog.pending_count,
        submitted_count=backlog.submitted_count,
        in_doubt_count=backlog.in_doubt_count,
        rejected_count=backlog.rejected_count,
        meters=[_meter(meter, limits) for meter in backlog.meters],
        windows=[
            upload_pb2.WindowUse(
                period_ms=round(use.period_s * 1000),
                call_count_max=use.call_count_max,
                used_count=use.used_count,
            )
            for use in pace.windows
        ],
        rate_share_ppm=round(pace.share * 1_000_000),
        last_error=pace.last_error,
    )
    if backlog.oldest_issue_time is not None:
        wire.oldest_issue_time.CopyFrom(convert.timestamp(backlog.oldest_issue_time))
        if limits.age_hours_max is not None:
            stops_at = backlog.oldest_issue_time + limits.age_hours_max * 3600
            wire.age_limit_time.CopyFrom(convert.timestamp(stops_at))
    return wire


def _meter(meter: MeterRecord, limits: OfflineLimits) -> upload_pb2.Meter:
    wire = upload_pb2.Meter(
        machine_number=meter.machine_number,
        type=meter.type,
        unuploaded_count=meter.unuploaded_count,
        unuploaded_amount_fen=meter.unuploaded_amount_fen,
    )
    if meter.last_issue_time:
        wire.last_issue_time.CopyFrom(convert.timestamp(meter.last_issue_time))
    if limits.count_max is not None:
        wire.left_count = max(0, limits.count_max - meter.unuploaded_count)
    if limits.amount_fen_max is not None:
        wire.left_amount_fen = max(0, limits.amount_fen_max - meter.unuploaded_amount_fen)
    return wire


def _event(row: UnuploadedRecord) -> upload_pb2.UnuploadedEvent:
    return upload_pb2.UnuploadedEvent(
        invoice=invoice_name(row.tax_number, row.code, row.number),
        event=upload_pb2.UnuploadedEvent.Event.Value(f"EVENT_{row.event}"),
        type=row.type,
        issue_time=convert.timestamp(row.issue_time),
        net_fen=row.net_fen,
        state=invoice_pb2.Invoice.UploadState.Value(f"UPLOAD_STATE_{row.state}"),
        rejection=row.rejection,
        attempt_count=row.attempt_count,
    )
