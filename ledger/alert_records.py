"""Alerts as the ledger keeps them. Times are unix seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class AlertPlace(NamedTuple):
    """What an alert is about, and where: at most one stands there at a time.

    ``kind`` and the others are names of the contract without prefix. ``tax_number`` is ``""`` for the
    whole gateway; ``machine_number`` and ``type`` are ``""`` and ``point`` is None where it is none's.
    """

    kind: str
    tax_number: str = ""
    machine_number: str = ""
    point: int | None = None
    type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRecord:
    """One trouble from its beginning to its end. ``state``: RAISED, ACKNOWLEDGED, RESOLVED.

    ``severity``: WARNING, SERIOUS, CRITICAL. ``limit_at`` is when issuing stops for it as things go,
    ``drained_at`` when its backlog is gone; None when nobody can say.
    """

    alert_id: int
    tenant: str
    place: AlertPlace
    state: str
    severity: str
    message: str
    message_zh: str
    facts: Mapping[str, str]
    limit_at: float | None
    drained_at: float | None
    raised_at: float
    updated_at: float
    acknowledged_at: float | None = None
    acknowledged_by: str = ""
    acknowledge_reason: str = ""
    resolved_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertNews:
    """What has to be stored of an alert: RAISED, UPDATED or RESOLVED at ``at``.

    ``raised_at`` tells which alert of the place; all but ``at`` is as it stands from now on.
    """

    what: str
    place: AlertPlace
    raised_at: float
    at: float
    severity: str
    message: str
    message_zh: str
    facts: Mapping[str, str] = field(default_factory=dict)
    limit_at: float | None = None
    drained_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChangeRecord:
    """One change, and the alert as it left it."""

    change_number: int
    what: str
    at: float
    alert: AlertRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertThresholdsRecord:
    """From where on a taxpayer's operators want to hear; None: the default."""

    unuploaded_count: int | None = None
    unuploaded_amount_fen: int | None = None
    unuploaded_age_s: int | None = None
    certificate_days: int | None = None
    period_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRecord:
    """A change on its way to a webhook."""

    delivery_id: int
    change: AlertChangeRecord
    created_at: float
    attempt_count: int
    next_at: float


class DeliveryCounts(NamedTuple):
    """Deliveries that wait, and since when the oldest does; 0 when none does."""

    pending_count: int
    oldest_at: float
