# ruff: noqa: N802 - the calls have the contract's names
"""A gateway of one desk for the console's own promises: it keeps state, ids and an audit record.

What a write does it does once an id, tried dry it does nothing, and every watch tells what changed.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import code_pb2

from taxcontrol.admin.v1.alert_pb2 import Alert
from taxcontrol.admin.v1.alert_service_pb2 import (
    AcknowledgeAlertResponse,
    ListAlertsResponse,
    WatchAlertsResponse,
)
from taxcontrol.admin.v1.audit_service_pb2 import AuditRecord, ListAuditRecordsResponse
from taxcontrol.admin.v1.desk_pb2 import DeskView, TaxpayerView
from taxcontrol.admin.v1.desk_service_pb2 import GetHistoryResponse, WatchDeskResponse
from taxcontrol.admin.v1.device_service_pb2 import (
    GetMonitorInfoResponse,
    ListDevicesResponse,
)
from taxcontrol.admin.v1.taxpayer_pb2 import RateWindow, Taxpayer
from taxcontrol.admin.v1.taxpayer_service_pb2 import GetTaxpayerResponse
from taxcontrol.admin.v1.upload_admin_service_pb2 import (
    GetUploadStatusResponse,
    PauseUploadsResponse,
    ResumeUploadsResponse,
    SetUploadRateResponse,
)
from taxcontrol.v1.invoice_pb2 import Invoice
from taxcontrol.v1.invoice_query_pb2 import VerifyInvoiceResponse
from taxcontrol.v1.invoice_service_pb2 import GetInvoiceResponse
from tests.console.refusals import operator, refuse

_LOOK_S = 0.2


@dataclass
class FakeGateway:
    """The state behind the calls; change it inside ``changing`` and every watch tells."""

    view: DeskView = field(default_factory=DeskView)
    windows: list[RateWindow] = field(default_factory=list)
    devices: dict[str, GetMonitorInfoResponse] = field(default_factory=dict)
    invoices: dict[str, Invoice] = field(default_factory=dict)
    histories: dict[str, GetHistoryResponse] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)
    audit: list[AuditRecord] = field(default_factory=list)
    dry: list[Any] = field(default_factory=list)
    watch_count: int = 0
    _done: dict[str, bytes] = field(default_factory=dict)
    _changes: list[WatchAlertsResponse] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _version: int = 0

    def changing(self, change: Callable[[], None]) -> None:
        """Apply ``change`` and tell the watches."""
        with self._changed:
            change()
            self._version += 1
            self._changed.notify_all()

    def taxpayer(self, name: str) -> TaxpayerView:
        """The taxpayer of that name; KeyError without one."""
        for one in self.view.taxpayers:
            if one.taxpayer == name:
                return one
        raise KeyError(name)

    def raise_alert(self, alert: Alert) -> None:
        """A trouble begins."""
        self.changing(lambda: self._note(alert, WatchAlertsResponse.CHANGE_RAISED))

    def resolve_alert(self, name: str) -> None:
        """A trouble is over."""
        alert = Alert()
        alert.CopyFrom(self.alerts[name])
        alert.state = Alert.STATE_RESOLVED
        alert.resolve_time.GetCurrentTime()
        self.changing(lambda: self._note(alert, WatchAlertsResponse.CHANGE_RESOLVED))

    def WatchDesk(
        self, _request: Message, context: grpc.ServicerContext
    ) -> Iterator[WatchDeskResponse]:
        self.watch_count += 1
        seen = -1
        while context.is_active():
            with self._changed:
                self._changed.wait_for(lambda: self._version != seen, _LOOK_S)  # noqa: B023
                if self._version == seen:
                    continue
                seen = self._version
                response = WatchDeskResponse(view=self.view)
            response.view.view_time.GetCurrentTime()
            yield response

    def WatchAlerts(
        self, _request: Message, context: grpc.ServicerContext
    ) -> Iterator[WatchAlertsResponse]:
        with self._changed:
            standing = [one for one in self.alerts.values() if one.state != Alert.STATE_RESOLVED]
            told = len(self._changes)
        for alert in standing:
            yield WatchAlertsResponse(change=WatchAlertsResponse.CHANGE_STANDING, alert=alert)
        yield WatchAlertsResponse(resume_token=str(told))
        while context.is_active():
            with self._changed:
                self._changed.wait_for(lambda: len(self._changes) > told, _LOOK_S)  # noqa: B023
                news = self._changes[told:]
                told += len(news)
            yield from news

    def ListAlerts(self, request: Any, _context: grpc.ServicerContext) -> ListAlertsResponse:
        found = sorted(self.alerts.values(), key=lambda one: -one.raise_time.ToMicroseconds())
        wanted = [one for one in found if not request.parent or one.taxpayer == request.parent]
        return ListAlertsResponse(alerts=wanted)

    def AcknowledgeAlert(
        self, request: Any, context: grpc.ServicerContext
    ) -> AcknowledgeAlertResponse:
        alert = self.alerts.get(request.name)
        if alert is None:
            refuse(context, code_pb2.NOT_FOUND, "ALERT_NOT_FOUND", name=request.name)
        if self._replay(request):
            return AcknowledgeAlertResponse(alert=alert, replayed=True)
        if alert.state != Alert.STATE_RAISED:
            state = Alert.State.Name(alert.state)
            refuse(
                context,
                code_pb2.FAILED_PRECONDITION,
                "ALERT_NOT_OPEN",
                name=alert.name,
                state=state,
            )
        changed = Alert()
        changed.CopyFrom(alert)
        changed.state = Alert.STATE_ACKNOWLEDGED
        changed.acknowledged_by = operator(context)
        changed.acknowledge_reason = request.reason
        changed.acknowledge_time.GetCurrentTime()
        self._record(request, context, "acknowledge_alert", request.name)
        self.changing(lambda: self._note(changed, WatchAlertsResponse.CHANGE_ACKNOWLEDGED))
        return AcknowledgeAlertResponse(alert=changed)

    def GetHistory(self, request: Any, context: grpc.ServicerContext) -> GetHistoryResponse:
        self._known(request.parent, context)
        since = request.start_time.seconds
        history = self.histories.get(request.parent, GetHistoryResponse())
        return GetHistoryResponse(
            backlog=[one for one in history.backlog if one.sample_time.seconds >= since],
            burn=[one for one in history.burn if one.hour_time.seconds >= since],
        )

    def ListDevices(self, request: Any, context: grpc.ServicerContext) -> ListDevicesResponse:
        if request.parent:
            self._known(request.parent, context)
        found = [
            one.device for name, one in self.devices.items() if name.startswith(request.parent)
        ]
        return ListDevicesResponse(devices=found)

    def GetMonitorInfo(self, request: Any, context: grpc.ServicerContext) -> GetMonitorInfoResponse:
        found = self.devices.get(request.name)
        if found is None:
            refuse(context, code_pb2.NOT_FOUND, "DEVICE_NOT_FOUND", machine_number=request.name)
        return found

    def GetTaxpayer(self, request: Any, context: grpc.ServicerContext) -> GetTaxpayerResponse:
        found = self._known(request.name, context)
        return GetTaxpayerResponse(
            taxpayer=Taxpayer(
                name=found.taxpayer, display_name=found.display_name, windows=self.windows
            )
        )

    def GetUploadStatus(
        self, request: Any, context: grpc.ServicerContext
    ) -> GetUploadStatusResponse:
        return GetUploadStatusResponse(status=self._known(request.parent, context).upload)

    def PauseUploads(self, request: Any, context: grpc.ServicerContext) -> PauseUploadsResponse:
        taxpayer = self._known(request.parent, context)
        if self._replay(request):
            return PauseUploadsResponse(replayed=True)
        if request.HasField("pause_until") and request.pause_until.seconds <= time.time():
            refuse(context, code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST", field="pause_until")
        if self._tried(request):
            return PauseUploadsResponse()

        def pause() -> None:
            taxpayer.upload.paused = True
            taxpayer.upload.pause_reason = request.reason
            taxpayer.upload.ClearField("paused_until")
            if request.HasField("pause_until"):
                taxpayer.upload.paused_until.CopyFrom(request.pause_until)

        self._record(request, context, "pause_uploads", request.parent)
        self.changing(pause)
        return PauseUploadsResponse()

    def ResumeUploads(self, request: Any, context: grpc.ServicerContext) -> ResumeUploadsResponse:
        taxpayer = self._known(request.parent, context)
        if self._replay(request):
            return ResumeUploadsResponse(replayed=True)
        if self._tried(request):
            return ResumeUploadsResponse()

        def resume() -> None:
            taxpayer.upload.paused = False
            taxpayer.upload.pause_reason = ""
            taxpayer.upload.ClearField("paused_until")

        self._record(request, context, "resume_uploads", request.parent)
        self.changing(resume)
        return ResumeUploadsResponse()

    def SetUploadRate(self, request: Any, context: grpc.ServicerContext) -> SetUploadRateResponse:
        taxpayer = self._known(request.parent, context)
        if self._replay(request):
            return SetUploadRateResponse(windows=request.windows, replayed=True)
        allowed = {one.period_ms: one.call_count_max for one in self.windows}
        if any(one.call_count_max > allowed.get(one.period_ms, 0) for one in request.windows):
            refuse(context, code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST", field="windows")
        if self._tried(request):
            return SetUploadRateResponse(windows=request.windows)

        def set_rate() -> None:
            lowered = {one.period_ms: one.call_count_max for one in request.windows}
            for window in taxpayer.upload.windows:
                most = allowed[window.period_ms]
                window.call_count_max = lowered.get(window.period_ms, most)

        self._record(request, context, "set_upload_rate", request.parent)
        self.changing(set_rate)
        return SetUploadRateResponse(windows=request.windows)

    def ListAuditRecords(
        self, request: Any, _context: grpc.ServicerContext
    ) -> ListAuditRecordsResponse:
        found = [
            one
            for one in reversed(self.audit)
            if one.target.startswith(request.parent)
            and (not request.actor or one.actor == request.actor)
        ]
        return ListAuditRecordsResponse(records=found)

    def GetInvoice(self, request: Any, context: grpc.ServicerContext) -> GetInvoiceResponse:
        found = [
            one
            for one in self.invoices.values()
            if request.name == one.issued.name
            or (request.request_id and request.request_id == one.issued.request_id)
        ]
        if not found:
            refuse(context, code_pb2.NOT_FOUND, "INVOICE_NOT_FOUND", name=request.name)
        return GetInvoiceResponse(invoice=found[0])

    def VerifyInvoice(self, request: Any, _context: grpc.ServicerContext) -> VerifyInvoiceResponse:
        ours = any(one.issued.qr_text == request.qr_text for one in self.invoices.values())
        return VerifyInvoiceResponse(
            verdict=VerifyInvoiceResponse.VERDICT_GENUINE
            if ours
            else VerifyInvoiceResponse.VERDICT_NOT_OURS
        )

    def _known(self, name: str, context: grpc.ServicerContext) -> TaxpayerView:
        try:
            return self.taxpayer(name)
        except KeyError:
            refuse(context, code_pb2.NOT_FOUND, "TAXPAYER_NOT_FOUND", taxpayer=name)

    def _note(self, alert: Alert, change: "WatchAlertsResponse.Change.ValueType") -> None:
        self.alerts[alert.name] = alert
        token = str(len(self._changes) + 1)
        self._changes.append(WatchAlertsResponse(change=change, alert=alert, resume_token=token))

    def _replay(self, request: Any) -> bool:
        return request.request_id in self._done

    def _tried(self, request: Any) -> bool:
        if request.validate_only:
            self.dry.append(request)
        return bool(request.validate_only)

    def _record(
        self, request: Any, context: grpc.ServicerContext, action: str, target: str
    ) -> None:
        self._done[request.request_id] = request.SerializeToString()
        record = AuditRecord(
            audit_id=len(self.audit) + 1,
            actor=operator(context),
            action=action,
            target=target,
            reason=request.reason,
            request_id=request.request_id,
        )
        record.act_time.GetCurrentTime()
        self.audit.append(record)
