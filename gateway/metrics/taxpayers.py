"""Families of what a survey saw: stock, backlog, budgets, uploads, devices. The most urgent have names.

A counter that passes from a name to ``other`` and back would look like one that started anew, so everything
here is a gauge. Of times ``other`` has the earliest, of shares the highest, of counts the sum.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric

from gateway.desk.survey import DeviceLine, StockLine, Survey, TaxpayerLine
from gateway.metrics.breath import Breath
from gateway.metrics.ranking import OTHER, Ranking
from gateway.upload.pacer import WindowUse
from quota.offline import Grade, Limit

STOCK_COUNT_MAX: Final = 89
TAXPAYER_COUNT_MAX: Final = 24
DEVICE_COUNT_MAX: Final = 39
# An authority states three or four. More of one taxpayer's are left out, the longest first.
WINDOW_COUNT_MAX: Final = 4

_NEVER: Final = float("inf")


@dataclass(slots=True)
class _Stock:
    """A line of stock, or the sum of many."""

    labels: tuple[str, ...]
    available_count: int
    low_count: int
    empty_at: float


@dataclass(slots=True)
class _Backlog:
    """A taxpayer's backlog, or the sum of many."""

    tax_number: str
    count: int = 0
    amount_fen: int = 0
    oldest_issue_time: float = _NEVER
    reached_at: float = _NEVER
    used: dict[Limit, float] = field(default_factory=dict)
    in_doubt_count: int = 0
    in_doubt_since: float = _NEVER
    rejected_count: int = 0
    signature_rejected_count: int = 0
    share: float | None = None
    windows: dict[float, tuple[int, int]] = field(default_factory=dict)


def families(survey: Survey, now: float, breath: Breath) -> list[Metric]:
    """What ``survey`` has of its taxpayers. Takes long where there are many, and gives way meanwhile."""
    found = _Found(now)
    for line in survey.taxpayers.values():
        found.add(line)
        breath.take()
    return list(found.families())


class _Found:
    """Everything of all taxpayers, ranked."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._other_stock = _Stock((OTHER, OTHER, OTHER), 0, 0, _NEVER)
        self._stock: Ranking[_Stock] = Ranking(STOCK_COUNT_MAX, self._fold_stock)
        self._other_backlog = _Backlog(OTHER)
        self._backlog: Ranking[_Backlog] = Ranking(TAXPAYER_COUNT_MAX, self._fold_backlog)
        self._other_ends_at = self._other_lock_at = _NEVER
        self._certificates: Ranking[tuple[str, DeviceLine]] = Ranking(
            DEVICE_COUNT_MAX, self._fold_certificate
        )
        self._locks: Ranking[tuple[str, DeviceLine]] = Ranking(DEVICE_COUNT_MAX, self._fold_lock)
        self._stock_grades: Counter[Grade] = Counter()
        self._meter_grades: Counter[Grade] = Counter()
        self._signing: Counter[bool] = Counter()
        self._taxpayer_count = 0

    def add(self, line: TaxpayerLine) -> None:
        self._taxpayer_count += 1
        for stock in line.stock:
            self._add_stock(line.tax_number, stock)
        self._meter_grades.update(meter.grade for meter in line.meters)
        backlog = _backlog_of(line)
        most_used = max(backlog.used.values(), default=0.0)
        self._backlog.add(backlog, (-line.grade, -most_used, -backlog.count))
        for device in line.devices:
            self._signing[device.signs] += 1
            named = line.tax_number, device
            self._certificates.add(named, (device.certificate_ends_at,))
            if device.lock_at is not None:
                self._locks.add(named, (device.lock_at,))

    def families(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "taxcontrol_taxpayers", "Registered taxpayers", value=self._taxpayer_count
        )
        yield _graded(
            "taxcontrol_stock_places",
            "Points and pools with a type, by how near their stock is to its end",
            self._stock_grades,
        )
        yield _graded(
            "taxcontrol_offline_meters",
            "Devices with a type, by how near they are to an offline limit",
            self._meter_grades,
        )
        yield from self._stock_families()
        yield from _backlog_families(
            [*self._backlog.named(), *([self._other_backlog] * bool(self._backlog.folded_count))],
            self._now,
        )
        yield from self._device_families()

    # --- stock --------------------------------------------------------------------------

    def _add_stock(self, tax_number: str, line: StockLine) -> None:
        self._stock_grades[line.grade] += 1
        point = "pool" if line.point is None else str(line.point)
        stock = _Stock(
            (tax_number, point, line.type),
            line.available_count,
            0 if line.threshold is None else line.threshold.low_count,
            _NEVER if line.empty_at is None else line.empty_at,
        )
        self._stock.add(stock, (-line.grade, stock.empty_at, line.available_count))

    def _fold_stock(self, line: _Stock) -> None:
        other = self._other_stock
        other.available_count += line.available_count
        other.low_count += line.low_count
        other.empty_at = min(other.empty_at, line.empty_at)

    def _stock_families(self) -> Iterator[Metric]:
        labels = ("tax_number", "point", "type")
        available = GaugeMetricFamily(
            "taxcontrol_stock_available_invoices",
            "Numbers that may be issued today, the places nearest to their end by name",
            labels=labels,
        )
        low = GaugeMetricFamily(
            "taxcontrol_stock_low_invoices",
            "From so few numbers on the stock counts as low; absent without a threshold",
            labels=labels,
        )
        empty = GaugeMetricFamily(
            "taxcontrol_stock_empty_timestamp_seconds",
            "When the stock will be used up as things go, in unix time; absent when it is not used",
            labels=labels,
        )
        lines = [*self._stock.named(), *([self._other_stock] * bool(self._stock.folded_count))]
        for line in lines:
            available.add_metric(line.labels, line.available_count)
            if line.low_count:
                low.add_metric(line.labels, line.low_count)
            _add_time(empty, line.labels, line.empty_at)
        yield from (available, low, empty)

    # --- backlog ------------------------------------------------------------------------

    def _fold_backlog(self, line: _Backlog) -> None:
        other = self._other_backlog
        other.count += line.count
        other.amount_fen += line.amount_fen
        other.oldest_issue_time = min(other.oldest_issue_time, line.oldest_issue_time)
        other.reached_at = min(other.reached_at, line.reached_at)
        for limit, used in line.used.items():
            other.used[limit] = max(used, other.used.get(limit, 0.0))
        other.in_doubt_count += line.in_doubt_count
        other.in_doubt_since = min(other.in_doubt_since, line.in_doubt_since)
        other.rejected_count += line.rejected_count
        other.signature_rejected_count += line.signature_rejected_count
        if line.share is not None:
            other.share = line.share if other.share is None else min(other.share, line.share)
        # Windows of different taxpayers do not add up, so ``other`` has none.

    # --- devices ------------------------------------------------------------------------

    def _fold_certificate(self, item: tuple[str, DeviceLine]) -> None:
        self._other_ends_at = min(self._other_ends_at, item[1].certificate_ends_at)

    def _fold_lock(self, item: tuple[str, DeviceLine]) -> None:
        self._other_lock_at = min(self._other_lock_at, item[1].lock_at or _NEVER)

    def _device_families(self) -> Iterator[Metric]:
        signing = GaugeMetricFamily(
            "taxcontrol_devices", "Devices, by whether their key signs", labels=("signs",)
        )
        for signs in (True, False):
            signing.add_metric(["yes" if signs else "no"], self._signing[signs])
        labels = ("tax_number", "machine_number")
        ends = GaugeMetricFamily(
            "taxcontrol_device_certificate_expiry_timestamp_seconds",
            "When the certificate of the key that signs expires, in unix time, the next ones by name",
            labels=labels,
        )
        for tax_number, device in self._certificates.named():
            ends.add_metric([tax_number, device.machine_number], device.certificate_ends_at)
        _add_time(ends, (OTHER, OTHER), self._other_ends_at)
        locks = GaugeMetricFamily(
            "taxcontrol_device_period_lock_timestamp_seconds",
            "When issuing ends unless the month is summarised before, in unix time, the next ones by name",
            labels=labels,
        )
        for tax_number, device in self._locks.named():
            locks.add_metric([tax_number, device.machine_number], device.lock_at or 0.0)
        _add_time(locks, (OTHER, OTHER), self._other_lock_at)
        yield from (signing, ends, locks)


def _backlog_of(line: TaxpayerLine) -> _Backlog:
    backlog = _Backlog(line.tax_number)
    for meter in line.meters:
        backlog.count += meter.unuploaded_count
        backlog.amount_fen += meter.unuploaded_amount_fen
        if meter.oldest_issue_time:
            backlog.oldest_issue_time = min(backlog.oldest_issue_time, meter.oldest_issue_time)
        for outlook in meter.limits:
            used = outlook.use.used_ppm / 1_000_000
            backlog.used[outlook.use.limit] = max(used, backlog.used.get(outlook.use.limit, 0.0))
            if outlook.reached_at is not None:
                backlog.reached_at = min(backlog.reached_at, outlook.reached_at)
    backlog.in_doubt_count = line.in_doubt_count
    backlog.in_doubt_since = line.in_doubt_since or _NEVER
    backlog.rejected_count = line.rejected_count
    backlog.signature_rejected_count = line.signature_rejected_count
    if line.upload is not None:
        backlog.share = line.upload.share
        windows = sorted(line.upload.windows, key=_period)[:WINDOW_COUNT_MAX]
        backlog.windows = {
            each.period_s: (each.used_count, each.call_count_max) for each in windows
        }
    return backlog


def _period(window: WindowUse) -> float:
    return window.period_s


def _backlog_families(lines: Sequence[_Backlog], now: float) -> Iterator[Metric]:
    made = {
        name: GaugeMetricFamily(f"taxcontrol_{name}", text, labels=("tax_number", *more))
        for name, (text, more) in _BACKLOG.items()
    }
    for line in lines:
        name = (line.tax_number,)
        made["unuploaded_invoices"].add_metric(name, line.count)
        made["unuploaded_amount_yuan"].add_metric(name, line.amount_fen / 100)
        age_s = 0.0 if line.oldest_issue_time == _NEVER else now - line.oldest_issue_time
        made["unuploaded_oldest_age_seconds"].add_metric(name, max(0.0, age_s))
        for limit, used in sorted(line.used.items()):
            made["offline_budget_used_ratio"].add_metric((*name, limit.lower()), used)
            made["offline_budget_left_ratio"].add_metric(
                (*name, limit.lower()), max(0.0, 1.0 - used)
            )
        _add_time(made["offline_limit_timestamp_seconds"], name, line.reached_at)
        made["upload_in_doubt_invoices"].add_metric(name, line.in_doubt_count)
        _add_time(made["upload_in_doubt_timestamp_seconds"], name, line.in_doubt_since)
        rejected = made["upload_rejected_invoices"]
        rejected.add_metric((*name, "content"), line.rejected_count)
        rejected.add_metric((*name, "signature"), line.signature_rejected_count)
        if line.share is not None:
            made["upload_rate_share_ratio"].add_metric(name, line.share)
        for period_s, (used_count, count_max) in line.windows.items():
            labels = (*name, f"{period_s:g}")
            made["upload_window_used_calls"].add_metric(labels, used_count)
            made["upload_window_allowed_calls"].add_metric(labels, count_max)
    yield from made.values()


_BACKLOG: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "unuploaded_invoices": (
        "Invoices without a final answer of the authority, taxpayers with the most used budgets by name",
        (),
    ),
    "unuploaded_amount_yuan": ("Net amount of the invoices without a final answer", ()),
    "unuploaded_oldest_age_seconds": ("Age of the oldest of these invoices; 0 without one", ()),
    "offline_budget_used_ratio": (
        "The part of an offline limit that is used, 1 and more at the limit, of the meter with most",
        ("limit",),
    ),
    "offline_budget_left_ratio": ("The part of an offline limit that is left", ("limit",)),
    "offline_limit_timestamp_seconds": (
        "When the first offline limit will be reached as things go, in unix time; absent when none will",
        (),
    ),
    "upload_in_doubt_invoices": ("Events of submissions whose answer was lost", ()),
    "upload_in_doubt_timestamp_seconds": (
        "When the oldest unanswered submission was made, in unix time; absent without one",
        (),
    ),
    "upload_rejected_invoices": (
        "Events that the authority has refused and nobody has dealt with, by what it refused",
        ("cause",),
    ),
    "upload_rate_share_ratio": (
        "The share of the allowed rate in use; halved each time the authority throttles",
        (),
    ),
    "upload_window_used_calls": ("Calls that count in a rate window now", ("period_seconds",)),
    "upload_window_allowed_calls": ("Calls allowed in a rate window", ("period_seconds",)),
}


def _graded(name: str, text: str, counts: Counter[Grade]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=("grade",))
    for grade in Grade:
        family.add_metric([grade.name.lower()], counts[grade])
    return family


def _add_time(family: GaugeMetricFamily, labels: Sequence[str], at: float) -> None:
    if at != _NEVER:
        family.add_metric(labels, at)
