"""The servicer of ``UploadAdminService``."""

from collections.abc import Sequence
from typing import Any

import grpc

from gateway import convert, offline_wire, requests, upload_wire
from gateway.clock import Clock
from gateway.registry import Registry
from gateway.upload.control import in_force
from gateway.upload.status import UploadStatus
from gateway.upload.uploader import Uploader
from invoice.errors import InvalidRequest
from invoice.identifiers import (
    invoice_name,
    parse_invoice_name,
    parse_taxpayer_name,
    taxpayer_name,
)
from ledger.port import Ledger
from ledger.records import (
    BacklogRecord,
    MeterRecord,
    RateWindow,
    UnuploadedRecord,
)
from quota.offline import OfflineLimits, worst
from taxcontrol.admin.v1 import taxpayer_pb2, upload_admin_service_pb2_grpc, upload_pb2
from taxcontrol.admin.v1 import upload_admin_service_pb2 as pb2
from taxcontrol.v1 import invoice_pb2

Context = grpc.aio.ServicerContext[Any, Any]

_INVOICE_COUNT_MAX = 500
_WINDOW_COUNT_MAX = 8
_PERIOD_MS_MAX = 31 * 86_400_000
_LAST_SECOND = 253_402_300_799  # of the year 9999, the last that a timestamp may name


class UploadAdminServicer(upload_admin_service_pb2_grpc.UploadAdminServiceServicer):
    """Shows what has not reached the authority, and steers the uploads."""

    def __init__(
        self,
        *,
        uploader: Uploader,
        ledger: Ledger,
        registry: Registry,
        clock: Clock,
        tenant: str,
    ) -> None:
        self._uploader = uploader
        self._ledger = ledger
        self._registry = registry
        self._clock = clock
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
        now = self._clock.now()
        status = _status(backlog, pace, record.limits_in_force, now)
        upload_wire.show_control(status, await self._ledger.upload_control(tax_number), now)
        return pb2.GetUploadStatusResponse(status=status)

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

    async def RetryUploads(
        self, request: pb2.RetryUploadsRequest, context: Context
    ) -> pb2.RetryUploadsResponse:
        """Send refused events again."""
        del context
        tax_number = parse_taxpayer_name(request.parent, field="parent")
        count, replayed = await self._ledger.retry_uploads(
            tax_number=tax_number,
            invoices=_invoices(request.invoices, tax_number),
            binding=requests.binding(self._tenant, "retry_uploads", request, request.request_id),
            act=requests.act_for_reason(request.reason, self._clock.now()),
            dry_run=request.validate_only,
        )
        if not request.validate_only:
            self._uploader.wake(tax_number)
        return pb2.RetryUploadsResponse(retried_count=count, replayed=replayed)

    async def PauseUploads(
        self, request: pb2.PauseUploadsRequest, context: Context
    ) -> pb2.PauseUploadsResponse:
        """Send nothing for a while."""
        del context
        tax_number = parse_taxpayer_name(request.parent, field="parent")
        until = _until(request)
        binding = requests.binding(self._tenant, "pause_uploads", request, request.request_id)
        known = await self._ledger.find_binding(self._tenant, request.request_id)
        # A pause that is over is no reason to refuse it to the one who asks whether it was heard.
        if known is None and until is not None and until <= self._clock.now():
            raise InvalidRequest("pause_until", "FIELD_RANGE", "must be in the future")
        _, replayed = await self._ledger.pause_uploads(
            tax_number=tax_number,
            until=until,
            binding=binding,
            act=requests.act_for_reason(request.reason, self._clock.now()),
            dry_run=request.validate_only,
        )
        await self._uploader.reload(tax_number)
        return pb2.PauseUploadsResponse(replayed=replayed)

    async def ResumeUploads(
        self, request: pb2.ResumeUploadsRequest, context: Context
    ) -> pb2.ResumeUploadsResponse:
        """End a pause."""
        del context
        tax_number = parse_taxpayer_name(request.parent, field="parent")
        _, replayed = await self._ledger.resume_uploads(
            tax_number=tax_number,
            binding=requests.binding(self._tenant, "resume_uploads", request, request.request_id),
            act=requests.act(request.reason, self._clock.now()),
            dry_run=request.validate_only,
        )
        await self._uploader.reload(tax_number)
        return pb2.ResumeUploadsResponse(replayed=replayed)

    async def SetUploadRate(
        self, request: pb2.SetUploadRateRequest, context: Context
    ) -> pb2.SetUploadRateResponse:
        """Keep below the authority's windows."""
        del context
        tax_number = parse_taxpayer_name(request.parent, field="parent")
        control, replayed = await self._ledger.set_upload_windows(
            tax_number=tax_number,
            windows=_windows(request.windows),
            binding=requests.binding(self._tenant, "set_upload_rate", request, request.request_id),
            act=requests.act_for_reason(request.reason, self._clock.now()),
            dry_run=request.validate_only,
        )
        await self._uploader.reload(tax_number)
        record = await self._registry.record(self._tenant, tax_number)
        windows = in_force(record.windows, control.windows)
        return pb2.SetUploadRateResponse(
            windows=map(upload_wire.window, windows), replayed=replayed
        )


def _invoices(names: Sequence[str], tax_number: str) -> list[tuple[str, str]]:
    """The (code, number) of each name; raise ``InvalidRequest`` naming the field."""
    if len(names) > _INVOICE_COUNT_MAX:
        raise InvalidRequest("invoices", "FIELD_RANGE", f"at most {_INVOICE_COUNT_MAX}")
    found = []
    for index, name in enumerate(names):
        field = f"invoices[{index}]"
        parsed = parse_invoice_name(name, field=field)
        if parsed.taxpayer != tax_number:
            raise InvalidRequest(field, "FIELD_FORMAT", "must be an invoice of the parent")
        found.append((parsed.code, parsed.number))
    return found


def _until(request: pb2.PauseUploadsRequest) -> float | None:
    if not request.HasField("pause_until"):
        return None
    until = request.pause_until
    if not (0 <= until.seconds <= _LAST_SECOND and 0 <= until.nanos < 1_000_000_000):
        raise InvalidRequest("pause_until", "FIELD_RANGE", "not a time")
    return until.seconds + until.nanos / 1_000_000_000


def _windows(wire: Sequence[taxpayer_pb2.RateWindow]) -> list[RateWindow]:
    """The windows asked for; raise ``InvalidRequest`` naming the field."""
    if len(wire) > _WINDOW_COUNT_MAX:
        raise InvalidRequest("windows", "FIELD_RANGE", f"at most {_WINDOW_COUNT_MAX}")
    lengths = [window.period_ms for window in wire]
    for index, window in enumerate(wire):
        field = f"windows[{index}]"
        if not 1 <= window.period_ms <= _PERIOD_MS_MAX:
            raise InvalidRequest(
                f"{field}.period_ms", "FIELD_RANGE", f"must be 1 to {_PERIOD_MS_MAX}"
            )
        if window.period_ms in lengths[:index]:
            raise InvalidRequest(f"{field}.period_ms", "FIELD_DUPLICATE", "stated before")
        if window.call_count_max < 1:
            raise InvalidRequest(f"{field}.call_count_max", "FIELD_RANGE", "must be at least 1")
    return [
        RateWindow(period_s=window.period_ms / 1000, call_count_max=window.call_count_max)
        for window in wire
    ]


def _status(
    backlog: BacklogRecord, pace: UploadStatus, limits: OfflineLimits, now: float
) -> upload_pb2.UploadStatus:
    wire = upload_pb2.UploadStatus(
        taxpayer=taxpayer_name(backlog.tax_number),
        pending_count=backlog.pending_count,
        submitted_count=backlog.submitted_count,
        in_doubt_count=backlog.in_doubt_count,
        rejected_count=backlog.rejected_count,
        meters=[_meter(meter, limits, now) for meter in backlog.meters],
        windows=[upload_wire.window_use(use) for use in pace.windows],
        rate_share_ppm=round(pace.share * 1_000_000),
        last_error=pace.last_error,
    )
    if backlog.oldest_issue_time is not None:
        wire.oldest_issue_time.CopyFrom(convert.timestamp(backlog.oldest_issue_time))
        if limits.age_hours_max is not None:
            stops_at = backlog.oldest_issue_time + limits.age_hours_max * 3600
            wire.age_limit_time.CopyFrom(convert.timestamp(stops_at))
    return wire


def _meter(meter: MeterRecord, limits: OfflineLimits, now: float) -> upload_pb2.Meter:
    found = offline_wire.limit_uses(limits, meter, now)
    wire = upload_pb2.Meter(
        machine_number=meter.machine_number,
        type=meter.type,
        unuploaded_count=meter.unuploaded_count,
        unuploaded_amount_fen=meter.unuploaded_amount_fen,
        limits=map(offline_wire.limit_use, found),
        grade=offline_wire.grade(worst(found)),
    )
    if meter.oldest_issue_time:
        wire.oldest_issue_time.CopyFrom(convert.timestamp(meter.oldest_issue_time))
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
