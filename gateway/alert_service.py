"""The servicer of ``AlertService``."""

import re
from collections.abc import AsyncGenerator
from dataclasses import fields
from typing import Any, Final

import grpc

from gateway import requests
from gateway.alerts import wire
from gateway.alerts.engine import ALERTS, AlertEngine, Deliverer
from gateway.alerts.thresholds import in_force
from gateway.change_hub import ChangeHub
from gateway.clock import Clock
from gateway.registry import Registry
from gateway.resume_token import Tokens, packed, unpacked
from gateway.upload.waiting import first_of
from invoice.errors import AlertNotFound, InvalidRequest
from invoice.identifiers import parse_taxpayer_name
from ledger.alert_records import AlertThresholdsRecord
from ledger.port import Ledger
from taxcontrol.admin.v1 import alert_pb2, alert_service_pb2_grpc
from taxcontrol.admin.v1 import alert_service_pb2 as pb2

Context = grpc.aio.ServicerContext[Any, Any]

_NAME: Final = re.compile(r"alerts/([1-9][0-9]{0,17})")
_NEWEST: Final = 2**63 - 1
_PIECE_COUNT: Final = 200
# How long a change of another process may stay unseen, and a caller without a word.
_LOOK_S: Final = 1.0
_SILENCE_S: Final = 15.0
# A token has its positions by meter; there is one stream of alerts.
_STREAM: Final = 1
_THRESHOLD_MAX: Final = 10**15


class AlertServicer(alert_service_pb2_grpc.AlertServiceServicer):
    """Shows troubles, and takes note of who looks after them."""

    def __init__(
        self,
        *,
        engine: AlertEngine,
        delivery: Deliverer,
        hub: ChangeHub,
        tokens: Tokens,
        ledger: Ledger,
        registry: Registry,
        clock: Clock,
        tenant: str,
    ) -> None:
        self._engine = engine
        self._delivery = delivery
        self._hub = hub
        self._tokens = tokens
        self._ledger = ledger
        self._registry = registry
        self._clock = clock
        self._tenant = tenant

    async def ListAlerts(
        self, request: pb2.ListAlertsRequest, context: Context
    ) -> pb2.ListAlertsResponse:
        """Answer one page of alerts."""
        del context
        tax_number = await self._only(request.parent)
        size = requests.page_size(request.page_size, default=100, most=1000)
        found = await self._ledger.alerts(
            self._tenant,
            tax_number=tax_number,
            kind=_kind(request.kind),
            standing_only=request.open_only,
            before=requests.page_number(request.page_token) or _NEWEST,
            count_max=size + 1,
        )
        page = found[:size]
        return pb2.ListAlertsResponse(
            alerts=map(wire.alert, page),
            next_page_token=str(page[-1].alert_id) if len(found) > size else "",
        )

    async def WatchAlerts(
        self, request: pb2.WatchAlertsRequest, context: Context
    ) -> AsyncGenerator[pb2.WatchAlertsResponse, None]:
        """Stream what stands, then every change, until the caller leaves."""
        del context
        tax_number = await self._only(request.parent)
        bound = f"alerts\0{self._tenant}\0{tax_number}".encode()
        with self._hub.listening(ALERTS) as listener:
            position = await self._position(request.resume_token, bound)
            if position is None:
                stands, position = await self._ledger.alert_snapshot(self._tenant, tax_number)
                for alert in stands:
                    yield wire.standing(alert)
            yield self._silence(bound, position)
            spoke_at = self._clock.monotonic()
            while True:
                self._hub.check()
                listener.stirred.clear()  # before reading: what comes meanwhile is read next time
                changes, reached = await self._ledger.alert_changes(
                    self._tenant, tax_number, after=position, count_max=_PIECE_COUNT
                )
                for change in changes:
                    position = change.change_number
                    yield wire.change(change, self._token(bound, position))
                    spoke_at = self._clock.monotonic()
                    self._hub.check()
                position = reached
                if self._clock.monotonic() - spoke_at >= _SILENCE_S:
                    yield self._silence(bound, position)
                    spoke_at = self._clock.monotonic()
                if not changes:
                    await first_of(listener.stirred, _LOOK_S, self._clock)

    async def AcknowledgeAlert(
        self, request: pb2.AcknowledgeAlertRequest, context: Context
    ) -> pb2.AcknowledgeAlertResponse:
        """Note who looks after an alert."""
        del context
        alert, replayed = await self._ledger.acknowledge_alert(
            _alert_id(request.name),
            binding=requests.binding(
                self._tenant, "acknowledge_alert", request, request.request_id
            ),
            act=requests.act_for_reason(request.reason, self._clock.now()),
            targets=self._delivery.targets,
            dry_run=request.validate_only,
        )
        if not request.validate_only:
            self._engine.refresh()
        return pb2.AcknowledgeAlertResponse(alert=wire.alert(alert), replayed=replayed)

    async def GetAlertThresholds(
        self, request: pb2.GetAlertThresholdsRequest, context: Context
    ) -> pb2.GetAlertThresholdsResponse:
        """Answer from where on a taxpayer's operators hear."""
        del context
        tax_number = parse_taxpayer_name(request.parent, field="parent")
        set_ = await self._ledger.alert_thresholds(self._tenant, tax_number)
        return pb2.GetAlertThresholdsResponse(
            set_thresholds=wire.thresholds(set_),
            thresholds=wire.thresholds(await self._in_force(tax_number, set_)),
        )

    async def SetAlertThresholds(
        self, request: pb2.SetAlertThresholdsRequest, context: Context
    ) -> pb2.SetAlertThresholdsResponse:
        """Set from where on a taxpayer's operators hear."""
        del context
        tax_number = parse_taxpayer_name(request.parent, field="parent")
        wanted = _thresholds(request.thresholds)
        replayed = await self._ledger.set_alert_thresholds(
            tax_number,
            wanted,
            binding=requests.binding(
                self._tenant, "set_alert_thresholds", request, request.request_id
            ),
            act=requests.act_for_reason(request.reason, self._clock.now()),
            dry_run=request.validate_only,
        )
        return pb2.SetAlertThresholdsResponse(
            thresholds=wire.thresholds(await self._in_force(tax_number, wanted)),
            replayed=replayed,
        )

    async def _only(self, parent: str) -> str:
        """The taxpayer that is asked for; ``""`` for all."""
        if not parent:
            return ""
        tax_number = parse_taxpayer_name(parent, field="parent")
        await self._registry.record(self._tenant, tax_number)
        return tax_number

    async def _position(self, token: str, bound: bytes) -> int | None:
        """Where a watch goes on; None when it begins."""
        if not token:
            return None
        position = unpacked(self._tokens.read(token, bound, field="resume_token")).get(_STREAM, 0)
        _, last = await self._ledger.alert_snapshot(self._tenant, "")
        if position > last:
            # As of a ledger that was put back to an earlier time: what it knows is not what was.
            raise InvalidRequest(
                "resume_token", "TOKEN_MISMATCH", "the token is ahead of this ledger"
            )
        return position

    async def _in_force(
        self, tax_number: str, set_: AlertThresholdsRecord
    ) -> AlertThresholdsRecord:
        record = await self._ledger.taxpayer(self._tenant, tax_number)
        assert record is not None  # its thresholds were found
        return in_force(set_, record.limits_in_force)

    def _token(self, bound: bytes, position: int) -> str:
        return self._tokens.make(bound, packed({_STREAM: position}))

    def _silence(self, bound: bytes, position: int) -> pb2.WatchAlertsResponse:
        """A message without a change: where the watch stands."""
        return pb2.WatchAlertsResponse(resume_token=self._token(bound, position))


def _kind(kind: "alert_pb2.Alert.Kind.ValueType") -> str:
    if kind not in alert_pb2.Alert.Kind.values():
        raise InvalidRequest("kind", "FIELD_FORMAT", "no such kind")
    return alert_pb2.Alert.Kind.Name(kind).removeprefix("KIND_") if kind else ""


def _alert_id(name: str) -> int:
    if not name:
        raise InvalidRequest("name", "FIELD_REQUIRED", "alerts/{id}")
    found = _NAME.fullmatch(name)
    if found is None:
        raise AlertNotFound(name[:100])
    return int(found[1])


def _thresholds(given: alert_pb2.AlertThresholds) -> AlertThresholdsRecord:
    """The thresholds asked for; raise ``InvalidRequest`` naming the field."""
    stated = {
        field.name: getattr(given, field.name) if given.HasField(field.name) else None  # type: ignore[arg-type]  # the message has these fields
        for field in fields(AlertThresholdsRecord)
    }
    for name, value in stated.items():
        if value is not None and not 1 <= value <= _THRESHOLD_MAX:
            raise InvalidRequest(f"thresholds.{name}", "FIELD_RANGE", "must be above 0")
    return AlertThresholdsRecord(**stated)
