"""What one look at the whole ledger gives: counters and what lies where, no invoices."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ledger.records import MeterRecord, RateWindow, UploadControlRecord
from quota.offline import OfflineLimits
from stock.forecast import Burn


class CounterPlace(NamedTuple):
    """A point of a taxpayer (None: its pool), and a type."""

    tax_number: str
    point: int | None
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdRecord:
    """When stock counts as low, and to what it is filled up. ``point`` None: of every other point."""

    tax_number: str
    point: int | None
    type: str
    low_count: int
    target_count: int
    auto_draw: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelfRecord:
    """What lies at one place. ``expired_count``: past the day until which it might be issued.

    ``taken_count`` is what was ever taken there.
    """

    place: CounterPlace
    available_count: int
    expired_count: int
    issue_deadline: str
    taken_count: int
    threshold: ThresholdRecord | None
    burn: Burn


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReading:
    """A device and the key that signs for it."""

    machine_number: str
    key_id: str
    certificate: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxpayerReading:
    """One taxpayer. ``in_doubt_since`` is 0 without a submission in doubt.

    ``limits`` are those in force, ``windows`` the authority's. ``pending_count`` is that of issues.
    """

    tenant: str
    tax_number: str
    name: str
    limits: OfflineLimits
    windows: tuple[RateWindow, ...]
    control: UploadControlRecord
    devices: tuple[DeviceReading, ...]
    meters: tuple[MeterRecord, ...]
    shelves: tuple[ShelfRecord, ...]
    pending_count: int
    submitted_count: int
    in_doubt_count: int
    rejected_count: int
    signature_rejected_count: int
    in_doubt_since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyReading:
    """One snapshot, by tax number."""

    taxpayers: Mapping[str, TaxpayerReading]


class BacklogSample(NamedTuple):
    """A taxpayer's backlog at one moment (unix seconds)."""

    tax_number: str
    at: int
    unuploaded_count: int
    unuploaded_amount_fen: int
    oldest_age_s: int
    used_ppm: int


class BurnSample(NamedTuple):
    """Numbers taken at a point in one hour (unix seconds divided by 3600)."""

    point: int
    type: str
    hour: int
    taken_count: int


class AuditRecord(NamedTuple):
    """Who did what to which resource, when (unix seconds) and why. ``detail`` is JSON."""

    audit_id: int
    at: float
    actor: str
    action: str
    target: str
    reason: str
    request_id: str
    detail: str
