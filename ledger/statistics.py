"""A month's figures of a device, from its running totals and the numbers drawn and returned.

What is drawn and returned is the taxpayer's, and stated by its first device: a taxpayer has one, and
numbers in the pool belong to no point.
"""

from collections import defaultdict
from typing import Final

import apsw

from invoice.period_content import Group, GroupTotal, TypeStatistics
from ledger.month_totals import WHOLE
from ledger.period_records import DeviceName
from ledger.values import Row, fetch
from quota.period import end_of, start_of

_TYPES = "SELECT type FROM meter WHERE tax_number = ? AND machine_number = ? ORDER BY type"
_TOTALS = """
SELECT type, what, rate_ppm, invoice_count, net_fen, tax_fen
  FROM month_total
 WHERE tax_number = ? AND machine_number = ? AND period = ? AND invoice_count <> 0
"""
_TAKEN_BEFORE = """
SELECT type, sum(invoice_count)
  FROM month_total
 WHERE tax_number = ? AND machine_number = ? AND period < ? AND rate_ppm = -1
   AND what IN ('BLUE', 'RED', 'BLANK_VOID')
 GROUP BY type
"""
# Of the first device of a taxpayer alone.
_FIRST = "? = (SELECT min(machine_number) FROM device WHERE tax_number = ?)"
_DRAWN = f"""
SELECT type, sum(iif(confirmed_at < ?, count, 0)), sum(iif(confirmed_at >= ?, count, 0))
  FROM stock_grant
 WHERE tax_number = ? AND state = 'CONFIRMED' AND confirmed_at < ? AND {_FIRST}
 GROUP BY type
"""  # noqa: S608 - put together from constants
_RETURNED = (
    _DRAWN.replace("confirmed_at", "answered_at")
    .replace("stock_grant", "stock_return")
    .replace("'CONFIRMED'", "'RETURNED'")
)
_COUNTED: Final = {
    "BLUE": "blue",
    "BLUE_VOID": "blue_void",
    "RED": "red",
    "RED_VOID": "red_void",
    "BLANK_VOID": "blank_void",
}


def statistics_of(
    connection: apsw.Connection, name: DeviceName, period: str
) -> tuple[TypeStatistics, ...]:
    """Return what a month adds up to, so far when it is not over, by type."""
    begins_at, ends_at = start_of(period), end_of(period)
    place = name.tax_number, ends_at, name.machine_number, name.tax_number
    drawn = _by_type(fetch(connection, _DRAWN, (begins_at, begins_at, *place)))
    returned = _by_type(fetch(connection, _RETURNED, (begins_at, begins_at, *place)))
    taken = _by_type(fetch(connection, _TAKEN_BEFORE, (*name, period)))
    counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
    totals: defaultdict[str, list[GroupTotal]] = defaultdict(list)
    for type_code, what, rate_ppm, *sums in fetch(connection, _TOTALS, (*name, period)):
        if rate_ppm == WHOLE:
            counts[type_code][_COUNTED[what]] = sums[0]
        else:
            totals[type_code].append(GroupTotal(Group(_COUNTED[what]), rate_ppm, *sums))
    found = []
    for (type_code,) in fetch(connection, _TYPES, name):
        drawn_before, drawn_in = drawn.get(type_code, (0, 0))
        returned_before, returned_in = returned.get(type_code, (0, 0))
        (taken_before,) = taken.get(type_code, (0,))
        found.append(
            TypeStatistics(
                type=type_code,
                opening=drawn_before - returned_before - taken_before,
                drawn=drawn_in,
                returned=returned_in,
                totals=tuple(sorted(totals[type_code], key=_order)),
                **counts[type_code],
            )
        )
    return tuple(found)


def _by_type(rows: list[Row]) -> dict[str, tuple[int, ...]]:
    return {row[0]: row[1:] for row in rows}


_ORDER: Final = list(Group)


def _order(total: GroupTotal) -> tuple[int, int]:
    return _ORDER.index(total.group), total.rate_ppm
