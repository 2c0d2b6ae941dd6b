"""What stands on the desk, as rows: the worst first. Nothing here knows how wide a terminal is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from taxcontrol.admin.v1.alert_pb2 import Alert
from taxcontrol.admin.v1.desk_pb2 import DeskView, MeterView, StockView, TaxpayerView
from taxcontrol.admin.v1.offline_pb2 import (
    GRADE_OK,
    GRADE_RESTRICT,
    GRADE_STOP,
    GRADE_WARN,
    LimitUse,
)
from taxcontrol.admin.v1.upload_pb2 import WindowUse
from taxctl.alert_facts import message, moment, place, severity_style, soon, worst_first
from taxctl.names import point_number, short_name
from taxctl.screen import safe, yuan
from taxctl.windows import uses
from taxctl.wire_words import grade_word, kind_word, limit_word, severity_word
from taxctl.words import mark, tr

_GRADE_STYLES: Final = {
    GRADE_OK: "green",
    GRADE_WARN: "yellow",
    GRADE_RESTRICT: "bold yellow",
    GRADE_STOP: "bold red",
}
_PPM: Final = 1_000_000
# Stock without a target is drawn against what is used in a day.
_FULL_HOURS: Final = 24


class Cell(NamedTuple):
    """A text with its style; with ``share`` a bar that is so full, in parts per million."""

    text: str = ""
    style: str = ""
    share: int | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a section.

    ``rank``: left out where room is short, the highest first; 0 never is. ``fills``: takes the room
    that is left, and is left out where that is less than so many columns.
    """

    title: str
    right: bool = field(default=False, kw_only=True)
    rank: int = field(default=0, kw_only=True)
    fills: int = field(default=0, kw_only=True)


class Section(NamedTuple):
    """A part of the desk; ``empty`` is what is said when it has no rows."""

    title: str
    empty: str
    fields: Sequence[Field]
    rows: Sequence[Sequence[Cell]]


_ALERT_FIELDS: Final = (
    Field(mark("severity")),
    Field(mark("alert")),
    Field(mark("where")),
    Field(mark("stops at"), rank=1),
    Field(mark("drained at"), rank=3),
    Field(mark("since"), rank=4),
    Field(mark("looked after by"), rank=5),
    Field(mark("message"), fills=24, rank=2),
)
_STOCK_FIELDS: Final = (
    Field(mark("taxpayer")),
    Field(mark("point")),
    Field(mark("type")),
    Field(mark("stock"), rank=2),
    Field(mark("available"), right=True),
    Field(mark("burn/h"), right=True),
    Field(mark("empty at")),
    Field(mark("grade"), rank=1),
    Field(mark("low from"), right=True, rank=3),
    Field(mark("fills up"), rank=5),
    Field(mark("issue until"), rank=4),
    Field(mark("name"), fills=12, rank=6),
)
_BUDGET_FIELDS: Final = (
    Field(mark("taxpayer")),
    Field(mark("device"), rank=4),
    Field(mark("type")),
    Field(mark("limit")),
    Field(mark("used"), rank=1),
    Field("%", right=True),
    Field(mark("grade")),
    Field(mark("reached at")),
    Field(mark("drained at"), rank=2),
    Field(mark("used of"), right=True, rank=3),
    Field(mark("name"), fills=12, rank=6),
)
_UPLOAD_FIELDS: Final = (
    Field(mark("taxpayer")),
    Field(mark("waiting"), right=True),
    Field(mark("rejected"), right=True),
    Field(mark("in doubt"), right=True, rank=4),
    Field(mark("calls"), rank=2),
    Field(mark("share"), right=True, rank=3),
    Field(mark("all windows"), rank=5),
    Field(mark("paused, or error"), fills=20, rank=1),
)


def sections(view: DeskView, alerts: Iterable[Alert] | None) -> list[Section]:
    """The four parts of the desk."""
    at = view.view_time
    told = tr("not known") if alerts is None else tr("none stands")
    return [
        Section(
            tr("ALERTS"),
            told,
            _ALERT_FIELDS,
            [_alert(one, at) for one in worst_first(alerts or ())],
        ),
        Section(tr("STOCK nearest to empty"), tr("none"), _STOCK_FIELDS, _stock(view)),
        Section(tr("OFFLINE BUDGETS"), tr("no limits"), _BUDGET_FIELDS, _budgets(view)),
        Section(tr("UPLOADS"), tr("nobody is registered"), _UPLOAD_FIELDS, _uploads(view)),
    ]


def _alert(alert: Alert, now: Timestamp) -> list[Cell]:
    style = severity_style(alert)
    return [
        Cell(severity_word(alert), style),
        Cell(kind_word(alert), style),
        Cell(safe(place(alert))),
        Cell(moment(alert.limit_time, now), style),
        Cell(moment(alert.drain_time, now)),
        Cell(moment(alert.raise_time, now)),
        Cell(safe(alert.acknowledged_by)),
        Cell(safe(message(alert))),
    ]


def _stock(view: DeskView) -> list[list[Cell]]:
    found = [(owner, stock) for owner in view.taxpayers for stock in owner.stock]
    found.sort(key=lambda pair: _nearest_stock(pair[1]))
    return [_stock_cells(owner, stock, view.view_time) for owner, stock in found]


def _nearest_stock(stock: StockView) -> tuple[int, int, int]:
    return -stock.grade, soon(stock.empty_time), stock.available_count


def _stock_cells(owner: TaxpayerView, stock: StockView, now: Timestamp) -> list[Cell]:
    style = _GRADE_STYLES.get(stock.grade, "")
    low = stock.HasField("threshold")
    return [
        Cell(short_name(owner.taxpayer)),
        Cell(point_number(stock.point)),
        Cell(stock.type),
        Cell("", style, _stock_share(stock)),
        Cell(f"{stock.available_count:,}", style),
        Cell(f"{stock.taken_last_hour_count:,}"),
        Cell(moment(stock.empty_time, now), style),
        Cell(grade_word(stock.grade), style),
        Cell(f"{stock.threshold.low_count:,}" if low else ""),
        Cell(_filled_up(stock) if low else ""),
        Cell(stock.issue_deadline),
        Cell(safe(owner.display_name)),
    ]


def _filled_up(stock: StockView) -> str:
    if not stock.threshold.auto_draw:
        return tr("by hand")
    return tr("to {count:,}").format(count=stock.threshold.target_count)


def _stock_share(stock: StockView) -> int:
    full = stock.threshold.target_count or stock.taken_last_hour_count * _FULL_HOURS
    if not full:
        return _PPM if stock.available_count else 0
    return min(_PPM, stock.available_count * _PPM // full)


def _budgets(view: DeskView) -> list[list[Cell]]:
    found = [
        (owner, meter, limit)
        for owner in view.taxpayers
        for meter in owner.meters
        for limit in meter.limits
    ]
    found.sort(key=lambda one: (-one[2].grade, -one[2].used_ppm, soon(one[2].limit_time)))
    return [_budget_cells(*one, view.view_time) for one in found]


def _budget_cells(
    owner: TaxpayerView, meter: MeterView, limit: LimitUse, now: Timestamp
) -> list[Cell]:
    style = _GRADE_STYLES.get(limit.grade, "")
    return [
        Cell(short_name(owner.taxpayer)),
        Cell(meter.machine_number),
        Cell(meter.type),
        Cell(limit_word(limit.limit)),
        Cell("", style, min(_PPM, limit.used_ppm)),
        Cell(f"{limit.used_ppm // 10_000}", style),
        Cell(grade_word(limit.grade), style),
        Cell(moment(limit.limit_time, now), style),
        Cell(moment(owner.drain_time, now)),
        Cell(used_of(limit)),
        Cell(safe(owner.display_name)),
    ]


def used_of(limit: LimitUse) -> str:
    """How much of a limit is used, in its unit: ``3 h of 72 h``."""
    return tr("{used} of {most}").format(
        used=_amount(limit, limit.used), most=_amount(limit, limit.most)
    )


def _amount(limit: LimitUse, value: int) -> str:
    if limit.limit == LimitUse.LIMIT_COUNT:
        return f"{value:,}"
    if limit.limit == LimitUse.LIMIT_AMOUNT:
        return yuan(value)
    if limit.limit == LimitUse.LIMIT_AGE:
        return tr("{hours:.1f} h").format(hours=value / 3600)
    return tr("{days:.1f} d").format(days=value / 86_400)


def _uploads(view: DeskView) -> list[list[Cell]]:
    found = sorted(view.taxpayers, key=_busiest)
    return [_upload_cells(owner, view.view_time) for owner in found]


def _busiest(owner: TaxpayerView) -> tuple[bool, int, int]:
    upload = owner.upload
    return not upload.paused, -upload.rejected_count, -upload.pending_count


def _upload_cells(owner: TaxpayerView, now: Timestamp) -> list[Cell]:
    upload = owner.upload
    waiting = upload.pending_count + upload.submitted_count
    return [
        Cell(short_name(owner.taxpayer)),
        Cell(f"{waiting:,}"),
        Cell(f"{upload.rejected_count:,}", "bold red" if upload.rejected_count else ""),
        Cell(f"{upload.in_doubt_count:,}", "yellow" if upload.in_doubt_count else ""),
        Cell(uses(_fullest(upload.windows))),
        Cell(f"{upload.rate_share_ppm / 10_000:.0f} %"),
        Cell(uses(upload.windows)),
        _paused_or_error(owner, now),
    ]


def _fullest(windows: Sequence[WindowUse]) -> list[WindowUse]:
    """The window that is the first to hold the uploads up."""
    return sorted(windows, key=lambda one: -one.used_count / max(1, one.call_count_max))[:1]


def _paused_or_error(owner: TaxpayerView, now: Timestamp) -> Cell:
    upload = owner.upload
    if not upload.paused:
        return Cell(safe(upload.last_error), "yellow")
    until = moment(upload.paused_until, now)
    told = tr("paused until {time}").format(time=until) if until else tr("paused")
    return Cell(safe(f"{told}: {upload.pause_reason}" if upload.pause_reason else told), "yellow")
