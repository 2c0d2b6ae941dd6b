"""A month of a device as a person reads it."""

from collections.abc import Iterable
from typing import Final

from taxcontrol.admin.v1.period_pb2 import Period, PeriodStatistics, RateTotal
from taxctl.screen import Screen, civil, fact, yuan
from taxctl.table import Column
from taxctl.wire_words import word
from taxctl.words import tr

PERIOD_COLUMNS: Final = (
    Column("month"),
    Column("state"),
    Column("blue", right=True),
    Column("red", right=True),
    Column("summarised at", rank=1),
    Column("serial", rank=2),
    Column("stops at", rank=3),
)
_COUNT_COLUMNS: Final = (
    Column("type"),
    Column("opening", right=True),
    Column("drawn", right=True),
    Column("returned", right=True),
    Column("blue", right=True),
    Column("voided", right=True),
    Column("red", right=True),
    Column("voided", right=True),
    Column("blank void", right=True),
    Column("closing", right=True),
)
_TOTAL_COLUMNS: Final = (
    Column("type"),
    Column("group"),
    Column("rate", right=True),
    Column("invoices", right=True),
    Column("net (yuan)", right=True),
    Column("tax (yuan)", right=True),
)


def period_cells(period: Period) -> list[str]:
    """A row for :data:`PERIOD_COLUMNS`."""
    return [
        period.period,
        _state(period),
        f"{sum(one.blue_count for one in period.statistics):,}",
        f"{sum(one.red_count for one in period.statistics):,}",
        civil(period.summary_time),
        period.summary_serial,
        civil(period.lock_time),
    ]


def print_period(screen: Screen, period: Period) -> None:
    """Print a month with its statistics by type and by rate."""
    screen.facts(
        [
            fact("month", period.period),
            fact("state", _state(period)),
            fact("summarised at", civil(period.summary_time)),
            fact("serial", period.summary_serial),
            fact("key", period.key_id),
            fact("signature", period.signature.hex()),
            fact("issuing stops at", civil(period.lock_time)),
        ]
    )
    screen.line("")
    screen.table(_COUNT_COLUMNS, map(_count_cells, period.statistics), tr("nothing was held"))
    screen.line("")
    screen.table(_TOTAL_COLUMNS, _totals(period.statistics), tr("nothing was issued"))


def _state(period: Period) -> str:
    return word(Period.State.Name, period.state, "STATE_")


def _count_cells(one: PeriodStatistics) -> list[str]:
    counts = (
        one.opening_count,
        one.drawn_count,
        one.returned_count,
        one.blue_count,
        one.blue_void_count,
        one.red_count,
        one.red_void_count,
        one.blank_void_count,
        one.closing_count,
    )
    return [one.type, *(f"{count:,}" for count in counts)]


def _totals(statistics: Iterable[PeriodStatistics]) -> list[list[str]]:
    return [[one.type, *_total_cells(total)] for one in statistics for total in one.totals]


def _total_cells(total: RateTotal) -> list[str]:
    return [
        word(RateTotal.Group.Name, total.group, "GROUP_"),
        f"{total.rate_ppm / 10_000:g}%",
        f"{total.invoice_count:,}",
        yuan(total.net_fen),
        yuan(total.tax_fen),
    ]
