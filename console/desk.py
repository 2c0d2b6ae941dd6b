"""The desk's figures made ready for the page: which bar is how long, what comes first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from console import figures
from console.speech import Speech
from taxcontrol.admin.v1.alert_pb2 import Alert
from taxcontrol.admin.v1.desk_pb2 import DeskView, MeterView, StockView, TaxpayerView
from taxcontrol.admin.v1.offline_pb2 import LimitUse

WHOLE_PPM: Final = 1_000_000
# Without a target a bar shows how long the stock lasts: a working day fills it.
_LASTING_S: Final = 8 * 3600
_TIMES: Final = frozenset(
    {
        LimitUse.LIMIT_AGE,
        LimitUse.LIMIT_LOCK_DAY,
        LimitUse.LIMIT_PERIOD,
        LimitUse.LIMIT_SUMMARY_AGE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StockRow:
    """A stock with its bar. ``level_ppm`` None: there is nothing to measure it by.

    ``mark_ppm`` is where on the bar the threshold stands; None without one.
    """

    stock: StockView
    point: str
    level_ppm: int | None
    mark_ppm: int | None
    level_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """How much of one limit is used; ``key`` is unique on a page."""

    key: str
    use: LimitUse
    used: str
    most: str
    level_ppm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterRow:
    """The budget of one device and type."""

    meter: MeterView
    gauges: Sequence[Gauge]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One taxpayer on the page. ``tax_number`` is the last part of its name."""

    taxpayer: TaxpayerView
    tax_number: str
    stock: Sequence[StockRow]
    meters: Sequence[MeterRow]
    unuploaded_count: int
    unuploaded_amount_fen: int

    @property
    def worst(self) -> Gauge | None:
        """The limit that is nearest; None where none holds."""
        gauges = [gauge for row in self.meters for gauge in row.gauges]
        return max(gauges, key=lambda gauge: gauge.use.used_ppm, default=None)

    @property
    def first_empty(self) -> StockRow | None:
        """The stock that is empty first as things go; None when all last."""
        running = [row for row in self.stock if row.stock.HasField("empty_time")]
        return min(running, key=lambda row: row.stock.empty_time.seconds, default=None)


def panels(view: DeskView, say: Speech) -> list[Panel]:
    """All taxpayers in the gateway's order: those nearest to trouble first."""
    return [panel(taxpayer, say) for taxpayer in view.taxpayers]


def panel(taxpayer: TaxpayerView, say: Speech) -> Panel:
    """Make one taxpayer ready."""
    return Panel(
        taxpayer=taxpayer,
        tax_number=last_part(taxpayer.taxpayer),
        stock=[_stock(one, say) for one in taxpayer.stock],
        meters=[_meter(one, say) for one in taxpayer.meters],
        unuploaded_count=sum(one.unuploaded_count for one in taxpayer.meters),
        unuploaded_amount_fen=sum(one.unuploaded_amount_fen for one in taxpayer.meters),
    )


def find(view: DeskView | None, name: str) -> TaxpayerView | None:
    """The taxpayer of that name on the desk."""
    taxpayers: Iterable[TaxpayerView] = () if view is None else view.taxpayers
    return next((one for one in taxpayers if one.taxpayer == name), None)


def display_names(view: DeskView | None) -> Mapping[str, str]:
    """What the taxpayers on the desk are called."""
    return {} if view is None else {one.taxpayer: one.display_name for one in view.taxpayers}


def by_weight(alerts: Mapping[str, Alert]) -> list[Alert]:
    """Alerts that stand: the worst first, of these what nobody looks after, then the newest."""
    return sorted(
        alerts.values(),
        key=lambda one: (-one.severity, one.state, -one.raise_time.ToMicroseconds(), one.name),
    )


def of_taxpayer(alerts: Mapping[str, Alert], name: str) -> list[Alert]:
    """Those of one taxpayer."""
    return [one for one in by_weight(alerts) if one.taxpayer == name]


def last_part(name: str) -> str:
    """The last part of a resource name."""
    return name.rpartition("/")[2]


def gauges(limits: Iterable[LimitUse], key: str, say: Speech) -> list[Gauge]:
    """Make the limits of one device and type ready."""
    return [
        Gauge(
            key=f"{key}-{use.limit}",
            use=use,
            used=_amount(use, use.used, say),
            most=_amount(use, use.most, say),
            level_ppm=min(use.used_ppm, WHOLE_PPM),
        )
        for use in limits
    ]


def _stock(stock: StockView, say: Speech) -> StockRow:
    level, mark, text = None, None, ""
    target = stock.threshold.target_count
    if stock.HasField("threshold") and target > 0:
        level = min(stock.available_count * WHOLE_PPM // target, WHOLE_PPM)
        mark = min(stock.threshold.low_count * WHOLE_PPM // target, WHOLE_PPM)
        text = say.language.text(
            "%(level)s of the target of %(target)s",
            level=figures.percent(stock.available_count * WHOLE_PPM // target),
            target=figures.count(target),
        )
    elif stock.HasField("empty_time"):
        left_s = max(0.0, (figures.moment(stock.empty_time) - say.now).total_seconds())
        level = min(int(left_s / _LASTING_S * WHOLE_PPM), WHOLE_PPM)
        text = say.language.text("lasts %(time)s; a full bar is 8 hours", time=say.duration(left_s))
    elif stock.available_count == 0:
        level, text = 0, say.language.text("empty")
    return StockRow(
        stock=stock,
        point=last_part(stock.point),
        level_ppm=level,
        mark_ppm=mark,
        level_text=text,
    )


def _meter(meter: MeterView, say: Speech) -> MeterRow:
    key = f"{meter.machine_number}-{meter.type}"
    return MeterRow(meter=meter, gauges=gauges(meter.limits, key, say))


def _amount(use: LimitUse, value: int, say: Speech) -> str:
    if use.limit in _TIMES:
        return say.duration(value)
    if use.limit == LimitUse.LIMIT_AMOUNT:
        return say.language.text("%(amount)s yuan", amount=figures.yuan(value))
    return figures.count(value)
