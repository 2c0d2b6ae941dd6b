"""Alerts on the wire."""

from typing import Final

from gateway import convert
from invoice.identifiers import point_name, taxpayer_name
from ledger.alert_records import AlertChangeRecord, AlertRecord, AlertThresholdsRecord
from taxcontrol.admin.v1 import alert_pb2, alert_service_pb2

_CHANGES: Final = alert_service_pb2.WatchAlertsResponse.Change


def alert(record: AlertRecord) -> alert_pb2.Alert:
    """An alert."""
    place = record.place
    wire = alert_pb2.Alert(
        name=name_of(record.alert_id),
        kind=alert_pb2.Alert.Kind.Value(f"KIND_{place.kind}"),
        state=alert_pb2.Alert.State.Value(f"STATE_{record.state}"),
        severity=alert_pb2.Alert.Severity.Value(f"SEVERITY_{record.severity}"),
        taxpayer=taxpayer_name(place.tax_number) if place.tax_number else "",
        machine_number=place.machine_number,
        point="" if place.point is None else point_name(place.tax_number, place.point),
        type=place.type,
        message=record.message,
        message_zh=record.message_zh,
        facts=record.facts,
        raise_time=convert.timestamp(record.raised_at),
        update_time=convert.timestamp(record.updated_at),
        acknowledged_by=record.acknowledged_by,
        acknowledge_reason=record.acknowledge_reason,
    )
    for name, at in (
        ("limit_time", record.limit_at),
        ("drain_time", record.drained_at),
        ("acknowledge_time", record.acknowledged_at),
        ("resolve_time", record.resolved_at),
    ):
        if at is not None:
            getattr(wire, name).CopyFrom(convert.timestamp(at))
    return wire


def change(record: AlertChangeRecord, resume_token: str) -> alert_service_pb2.WatchAlertsResponse:
    """A change, and where to go on after it."""
    return alert_service_pb2.WatchAlertsResponse(
        change=_CHANGES.Value(f"CHANGE_{record.what}"),
        alert=alert(record.alert),
        change_time=convert.timestamp(record.at),
        resume_token=resume_token,
    )


def standing(record: AlertRecord) -> alert_service_pb2.WatchAlertsResponse:
    """An alert that stands already when a watch begins."""
    return alert_service_pb2.WatchAlertsResponse(
        change=_CHANGES.Value("CHANGE_STANDING"), alert=alert(record)
    )


def thresholds(record: AlertThresholdsRecord) -> alert_pb2.AlertThresholds:
    """Thresholds; what is None is absent."""
    return alert_pb2.AlertThresholds(
        unuploaded_count=record.unuploaded_count,
        unuploaded_amount_fen=record.unuploaded_amount_fen,
        unuploaded_age_s=record.unuploaded_age_s,
        certificate_days=record.certificate_days,
        period_days=record.period_days,
    )


def name_of(alert_id: int) -> str:
    """The resource name of an alert."""
    return f"alerts/{alert_id}"
