"""The fake gateway's desk and alerts: a view that is published, alerts that come, change and go."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc
from google.rpc import code_pb2
from grpc_status import rpc_status

from taxcontrol.admin.v1.alert_pb2 import Alert, AlertThresholds
from taxcontrol.admin.v1.alert_service_pb2 import (
    AcknowledgeAlertRequest,
    AcknowledgeAlertResponse,
    GetAlertThresholdsRequest,
    GetAlertThresholdsResponse,
    ListAlertsRequest,
    ListAlertsResponse,
    SetAlertThresholdsRequest,
    SetAlertThresholdsResponse,
    WatchAlertsRequest,
    WatchAlertsResponse,
)
from taxcontrol.admin.v1.desk_pb2 import DeskView
from taxcontrol.admin.v1.desk_service_pb2 import WatchDeskRequest, WatchDeskResponse
from tests.taxctl.books import TAXPAYER, Books, refuse
from tests.taxctl.desk import Trouble

_GOING = Trouble(code=code_pb2.UNAVAILABLE, reason="SHUTTING_DOWN", message="draining")
DEFAULTS = AlertThresholds(unuploaded_count=700, unuploaded_age_s=64_800, certificate_days=30)


@dataclass
class Lookout:
    """``away``: both watches are refused as by a gateway that is going; ``watching`` how many ran."""

    books: Books
    view: DeskView = field(default_factory=DeskView)
    alerts: dict[str, Alert] = field(default_factory=dict)
    log: list[WatchAlertsResponse] = field(default_factory=list)
    thresholds: AlertThresholds = field(default_factory=AlertThresholds)
    tokens: list[str] = field(default_factory=list)
    away: bool = False
    watching: int = 0
    published: int = 1
    stale: bool = False

    def publish(self, view: DeskView) -> None:
        """Show another view to who watches."""
        with self.books.changed:
            self.view = view
            self.published += 1
            self.books.changed.notify_all()

    def tell(self, alert: Alert, change: WatchAlertsResponse.Change.ValueType) -> None:
        """Store an alert as a change left it."""
        with self.books.changed:
            kept = Alert()
            kept.CopyFrom(alert)
            self.alerts[alert.name] = kept
            told = WatchAlertsResponse(change=change, alert=kept)
            told.change_time.seconds = self.books.now
            self.log.append(told)
            self.books.changed.notify_all()

    def leave(self, *, away: bool) -> None:
        """Go away, which ends every watch, or come back."""
        with self.books.changed:
            self.away = away
            self.books.changed.notify_all()

    def WatchDesk(  # noqa: N802 - the contract's name
        self, request: WatchDeskRequest, context: grpc.ServicerContext
    ) -> Iterator[WatchDeskResponse]:
        self._enter(context)
        if request.parent not in ("", TAXPAYER):
            refuse(context, code_pb2.NOT_FOUND, "TAXPAYER_NOT_FOUND")
        seen = 0
        while True:
            with self.books.changed:
                self.books.changed.wait_for(
                    lambda seen=seen: self.published > seen or self.away or not context.is_active()  # type: ignore[misc]
                )
                seen, view, away = self.published, self.view, self.away
            if not context.is_active():
                return
            if away:
                context.abort_with_status(rpc_status.to_status(_GOING.status()))
            yield WatchDeskResponse(view=view)

    def WatchAlerts(  # noqa: N802 - the contract's name
        self, request: WatchAlertsRequest, context: grpc.ServicerContext
    ) -> Iterator[WatchAlertsResponse]:
        self._enter(context)
        self.tokens.append(request.resume_token)
        if request.resume_token and self.stale:
            refuse(context, code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST", "not a token of mine")
        place = len(self.log)
        if request.resume_token:
            place = int(request.resume_token.removeprefix("t"))
        else:
            for alert in list(self.alerts.values()):
                if alert.state != Alert.STATE_RESOLVED:
                    yield WatchAlertsResponse(
                        change=WatchAlertsResponse.CHANGE_STANDING, alert=alert
                    )
        yield WatchAlertsResponse(resume_token=f"t{place}")
        while True:
            with self.books.changed:
                self.books.changed.wait_for(
                    lambda place=place: (  # type: ignore[misc]
                        len(self.log) > place or self.away or not context.is_active()
                    )
                )
                found, away = self.log[place:], self.away
            if not context.is_active():
                return
            if away:
                context.abort_with_status(rpc_status.to_status(_GOING.status()))
            for told in found:
                place += 1
                message = WatchAlertsResponse(resume_token=f"t{place}")
                message.MergeFrom(told)
                yield message

    def ListAlerts(  # noqa: N802 - the contract's name
        self, request: ListAlertsRequest, _: grpc.ServicerContext
    ) -> ListAlertsResponse:
        self.books.seen.append(request)
        found = [
            alert
            for alert in reversed(list(self.alerts.values()))
            if alert.taxpayer in ("", request.parent or alert.taxpayer)
            and request.kind in (Alert.KIND_UNSPECIFIED, alert.kind)
            and not (request.open_only and alert.state == Alert.STATE_RESOLVED)
        ]
        start = int(request.page_token or 0)
        end = start + min(request.page_size or 100, 2)
        token = str(end) if end < len(found) else ""
        return ListAlertsResponse(alerts=found[start:end], next_page_token=token)

    def AcknowledgeAlert(  # noqa: N802 - the contract's name
        self, request: AcknowledgeAlertRequest, context: grpc.ServicerContext
    ) -> AcknowledgeAlertResponse:
        def act(dry: bool) -> AcknowledgeAlertResponse:
            if request.name not in self.alerts:
                refuse(context, code_pb2.NOT_FOUND, "ALERT_NOT_FOUND")
            alert = Alert()
            alert.CopyFrom(self.alerts[request.name])
            if alert.state != Alert.STATE_RAISED:
                refuse(context, code_pb2.FAILED_PRECONDITION, "ALERT_NOT_OPEN")
            alert.state = Alert.STATE_ACKNOWLEDGED
            alert.acknowledged_by = str(dict(context.invocation_metadata())["operator"])
            alert.acknowledge_reason = request.reason
            alert.acknowledge_time.seconds = self.books.now
            if not dry:
                self.tell(alert, WatchAlertsResponse.CHANGE_ACKNOWLEDGED)
            return AcknowledgeAlertResponse(alert=alert)

        return self.books.once(request, context, act)

    def GetAlertThresholds(  # noqa: N802 - the contract's name
        self, _request: GetAlertThresholdsRequest, _: grpc.ServicerContext
    ) -> GetAlertThresholdsResponse:
        return GetAlertThresholdsResponse(
            set_thresholds=self.thresholds, thresholds=self._in_force(self.thresholds)
        )

    def SetAlertThresholds(  # noqa: N802 - the contract's name
        self, request: SetAlertThresholdsRequest, context: grpc.ServicerContext
    ) -> SetAlertThresholdsResponse:
        def act(dry: bool) -> SetAlertThresholdsResponse:
            if not request.reason:
                refuse(context, code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST")
            if not dry:
                self.thresholds = request.thresholds
            return SetAlertThresholdsResponse(thresholds=self._in_force(request.thresholds))

        return self.books.once(request, context, act)

    def _in_force(self, given: AlertThresholds) -> AlertThresholds:
        told = AlertThresholds()
        told.CopyFrom(DEFAULTS)
        told.MergeFrom(given)
        return told

    def _enter(self, context: grpc.ServicerContext) -> None:
        with self.books.changed:
            if not self.away:
                self.watching += 1
                self.books.changed.notify_all()
        if self.away:
            context.abort_with_status(rpc_status.to_status(_GOING.status()))
        context.add_callback(self._wake)

    def _wake(self) -> None:
        with self.books.changed:
            self.books.changed.notify_all()
