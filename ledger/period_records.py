"""Months and devices as the ledger tells of them. Plain data, as in ``records.py``."""

from dataclasses import dataclass
from typing import NamedTuple

from invoice.period_content import TypeStatistics
from ledger.records import DeviceRecord
from quota.offline import MeterState, OfflineLimits


class DeviceName(NamedTuple):
    """A device of a taxpayer."""

    tax_number: str
    machine_number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodRecord:
    """A month's summary (a row of ``period``): CLOSING, signed on the way, then SUMMARISED.

    ``type`` is any type of the taxpayer: it tells the authority. The two request ids are as in
    ``records.GrantRecord``; ``certificate`` is that of ``key_id``.
    """

    tenant: str
    request_id: str
    authority_request_id: str
    tax_number: str
    machine_number: str
    type: str
    period: str
    state: str
    content: bytes
    closing_at: float
    signature: bytes | None = None
    key_id: str = ""
    certificate: bytes = b""
    summarised_at: float | None = None
    summary_serial: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthRecord:
    """A month of a device: its figures, final once there is a ``summary``."""

    period: str
    statistics: tuple[TypeStatistics, ...]
    summary: PeriodRecord | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeMeterRecord:
    """One type of a device as its meter has it. ``issue_time_min``: nothing is dated before."""

    type: str
    invoice_limit_fen: int
    last_issue_time: int
    issue_time_min: int
    state: MeterState


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatusRecord:
    """A device with its keys, points and meters. ``limits`` are those in force.

    ``month_issued_count`` is of the month that was asked about.
    """

    tax_number: str
    device: DeviceRecord
    points: tuple[int, ...]
    meters: tuple[TypeMeterRecord, ...]
    limits: OfflineLimits
    open_period: str
    month_issued_count: int
