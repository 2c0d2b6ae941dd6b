"""Meters: the counters of a (taxpayer, device, type), and the numbering of its changes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import apsw

from invoice.errors import ClockSkew
from ledger.bulk import Bulk
from ledger.records import MeterRecord
from ledger.values import Value, fetch

MeterName = tuple[str, str, str]
"""Tax number, machine number, type."""
Change = tuple[int, str]
"""Invoice id, and what happened to it."""

# A clock this far behind the last invoice cannot be trusted to date another: 30 minutes.
_BEHIND_S_MAX = 1_800
# Before the authority has told the time, a clock behind our own invoices is simply wrong; this
# much is what setting it by the network moves it back.
_UNCONFIRMED_BEHIND_S_MAX = 5

_DRAW = Bulk(
    """
UPDATE meter SET change_number = change_number + w.column4
  FROM (VALUES {rows}) AS w
 WHERE tax_number = w.column1 AND machine_number = w.column2 AND type = w.column3
RETURNING tax_number, machine_number, type, meter_id, change_number
""",
    column_count=4,
)
_CHANGE = Bulk(
    "INSERT INTO change (meter_id, change_number, invoice_id, what, at) VALUES {rows}",
    column_count=5,
)
_RESERVED = Bulk(
    """
UPDATE meter
   SET unuploaded_count = unuploaded_count + w.column2,
       unuploaded_amount_fen = unuploaded_amount_fen + w.column3,
       last_issue_time = w.column4
  FROM (VALUES {rows}) AS w
 WHERE meter_id = w.column1
""",
    column_count=4,
)
_ANSWERED = Bulk(
    """
UPDATE meter
   SET unuploaded_count = unuploaded_count - w.column4,
       unuploaded_amount_fen = unuploaded_amount_fen - w.column5
  FROM (VALUES {rows}) AS w
 WHERE tax_number = w.column1 AND machine_number = w.column2 AND type = w.column3
""",
    column_count=5,
)
_OF_TAXPAYER = """
SELECT tax_number, machine_number, type, unuploaded_count, unuploaded_amount_fen, last_issue_time,
       change_number
  FROM meter
 WHERE tax_number = ?
 ORDER BY machine_number, type
"""


class Load(NamedTuple):
    """What a group puts on a meter or takes off it."""

    invoice_count: int
    amount_fen: int


def behind_s_max(*, trusted: bool) -> int:
    """How far the clock may be behind the last issue time; ``trusted``: the authority told the time."""
    return _BEHIND_S_MAX if trusted else _UNCONFIRMED_BEHIND_S_MAX


def clock_fault(last_issue_time: int, now: float, behind_s_max: int) -> ClockSkew | None:
    """Return why ``now`` cannot date anything of a meter; None when it can."""
    behind_s = last_issue_time - now
    if behind_s <= behind_s_max:
        return None
    return ClockSkew(
        f"the clock is {behind_s:.0f} s behind the last invoice", skew_s=-round(behind_s)
    )


def draw_changes(
    connection: apsw.Connection,
    changed: Mapping[MeterName, Sequence[int]],
    *,
    what: str,
    now: float,
) -> None:
    """Give each changed invoice the next change number of its meter; the same happened to all."""
    changes = {name: [(invoice_id, what) for invoice_id in ids] for name, ids in changed.items()}
    draw(connection, changes, now)


def draw(
    connection: apsw.Connection, changes: Mapping[MeterName, Sequence[Change]], now: float
) -> None:
    """Give each change, in the order given, the next change number of its meter.

    Drawn in the changing transaction: numbers become visible in order.
    """
    drawn: list[Value] = []
    for name in sorted(changes):
        drawn += (*name, len(changes[name]))
    numbered: list[Value] = []
    for tax_number, machine_number, type_code, meter_id, last in _DRAW.run(connection, drawn):
        of_meter = changes[tax_number, machine_number, type_code]
        first = last - len(of_meter) + 1
        for change_number, (invoice_id, what) in enumerate(of_meter, first):
            numbered += (meter_id, change_number, invoice_id, what, now)
    _CHANGE.run(connection, numbered)


def add_reserved(
    connection: apsw.Connection, loads: Mapping[int, Load], issue_times: Mapping[int, int]
) -> None:
    """Count what was reserved, by meter id, and move each meter's clock on."""
    values: list[Value] = []
    for meter_id in sorted(loads):
        values += (meter_id, *loads[meter_id], issue_times[meter_id])
    _RESERVED.run(connection, values)


def take_off(connection: apsw.Connection, loads: Mapping[MeterName, Load]) -> None:
    """Take what has its final answer off the meters."""
    values: list[Value] = []
    for name in sorted(loads):
        values += (*name, *loads[name])
    _ANSWERED.run(connection, values)


def meters_of(connection: apsw.Connection, tax_number: str) -> tuple[MeterRecord, ...]:
    """Return the meters of a taxpayer, by device and type."""
    return tuple(
        MeterRecord(
            tax_number=row[0],
            machine_number=row[1],
            type=row[2],
            unuploaded_count=row[3],
            unuploaded_amount_fen=row[4],
            last_issue_time=row[5],
            change_number=row[6],
        )
        for row in fetch(connection, _OF_TAXPAYER, (tax_number,))
    )
