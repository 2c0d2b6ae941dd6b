"""Meters: the counters of a (taxpayer, device, type), and the numbering of its changes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import apsw

from invoice.errors import ClockSkew
from ledger.bulk import Bulk
from ledger.records import MeterRecord
from ledger.values import Row, Value, fetch

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
       oldest_issue_time = iif(oldest_issue_time = 0, w.column4, oldest_issue_time),
       last_issue_time = w.column4
  FROM (VALUES {rows}) AS w
 WHERE meter_id = w.column1
""",
    column_count=4,
)
# The oldest is looked for only where it may be what has left.
_ANSWERED = Bulk(
    """
UPDATE meter
   SET unuploaded_count = unuploaded_count - w.column4,
       unuploaded_amount_fen = unuploaded_amount_fen - w.column5,
       oldest_issue_time = iif(w.column6 > oldest_issue_time, oldest_issue_time, ifnull(
           (SELECT min(at)
              FROM (SELECT min(o.issue_time) AS at
                      FROM outbox AS o
                     WHERE o.meter_id = meter.meter_id AND o.event = 'ISSUE'
                       AND o.state IN ('PENDING', 'PREPARED', 'SUBMITTED', 'IN_DOUBT')
                    UNION ALL
                    SELECT min(i.issue_time)
                      FROM invoice AS i
                     WHERE i.tax_number = meter.tax_number
                       AND i.machine_number = meter.machine_number
                       AND i.type = meter.type AND i.state = 'RESERVED')), 0))
  FROM (VALUES {rows}) AS w
 WHERE tax_number = w.column1 AND machine_number = w.column2 AND type = w.column3
""",
    column_count=6,
)
_AGAIN = Bulk(
    """
UPDATE meter
   SET unuploaded_count = unuploaded_count + w.column4,
       unuploaded_amount_fen = unuploaded_amount_fen + w.column5,
       oldest_issue_time = iif(oldest_issue_time = 0, w.column6, min(oldest_issue_time, w.column6))
  FROM (VALUES {rows}) AS w
 WHERE tax_number = w.column1 AND machine_number = w.column2 AND type = w.column3
""",
    column_count=6,
)
_ALL = """
SELECT tax_number, machine_number, type, unuploaded_count, unuploaded_amount_fen, last_issue_time,
       change_number, oldest_issue_time, open_period, summarised_at, issue_time_min
  FROM meter
"""
_OF_TAXPAYER = _ALL + "WHERE tax_number = ? ORDER BY machine_number, type"
_BY_NAME = _ALL + "ORDER BY tax_number, machine_number, type"


class Load(NamedTuple):
    """What a group puts on a meter."""

    invoice_count: int
    amount_fen: int


class Backlog(NamedTuple):
    """What of a meter has its final answer, or waits for one again. The oldest of it is 0 of nothing."""

    invoice_count: int = 0
    amount_fen: int = 0
    oldest_issue_time: int = 0

    def with_one(self, net_fen: int, issue_time: int) -> "Backlog":
        """Return it with one invoice more."""
        oldest = min(self.oldest_issue_time, issue_time) if self.invoice_count else issue_time
        return Backlog(self.invoice_count + 1, self.amount_fen + abs(net_fen), oldest)


def behind_s_max(*, trusted: bool) -> int:
    """How far the clock may be behind the last issue time; ``trusted``: the authority told the time."""
    return _BEHIND_S_MAX if trusted else _UNCONFIRMED_BEHIND_S_MAX


def clock_fault(issue_time_min: int, now: float, behind_s_max: int) -> ClockSkew | None:
    """Return why ``now`` cannot date anything of a meter, whose next is not dated before; or None."""
    behind_s = issue_time_min - now
    if behind_s <= behind_s_max:
        return None
    return ClockSkew(
        f"the clock is {behind_s:.0f} s behind the last invoice or the end of a closed month",
        skew_s=-round(behind_s),
        skew_s_max=behind_s_max,
        ends_by="CLOCK",
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
) -> dict[MeterName, int]:
    """Give each change, in the order given, the next change number of its meter; return the meters' ids.

    Drawn in the changing transaction: numbers become visible in order.
    """
    drawn: list[Value] = []
    for name in sorted(changes):
        drawn += (*name, len(changes[name]))
    numbered: list[Value] = []
    meter_ids = {}
    for tax_number, machine_number, type_code, meter_id, last in _DRAW.run(connection, drawn):
        meter_ids[tax_number, machine_number, type_code] = meter_id
        of_meter = changes[tax_number, machine_number, type_code]
        first = last - len(of_meter) + 1
        for change_number, (invoice_id, what) in enumerate(of_meter, first):
            numbered += (meter_id, change_number, invoice_id, what, now)
    _CHANGE.run(connection, numbered)
    return meter_ids


def add_reserved(
    connection: apsw.Connection, loads: Mapping[int, Load], issue_times: Mapping[int, int]
) -> None:
    """Count what was reserved, by meter id, and move each meter's clock on."""
    values: list[Value] = []
    for meter_id in sorted(loads):
        values += (meter_id, *loads[meter_id], issue_times[meter_id])
    _RESERVED.run(connection, values)


def take_off(connection: apsw.Connection, answered: Mapping[MeterName, Backlog]) -> None:
    """Take what has its final answer off the meters, once its events and entries are out of the way."""
    _ANSWERED.run(connection, _laid_out(answered))


def put_back(connection: apsw.Connection, again: Mapping[MeterName, Backlog]) -> None:
    """Count on the meters what waits for its answer again."""
    _AGAIN.run(connection, _laid_out(again))


def _laid_out(backlogs: Mapping[MeterName, Backlog]) -> list[Value]:
    values: list[Value] = []
    for name in sorted(backlogs):
        values += (*name, *backlogs[name])
    return values


def meters_of(connection: apsw.Connection, tax_number: str) -> tuple[MeterRecord, ...]:
    """Return the meters of a taxpayer, by device and type."""
    return tuple(map(_record, fetch(connection, _OF_TAXPAYER, (tax_number,))))


def all_meters(connection: apsw.Connection) -> Iterator[MeterRecord]:
    """Yield every meter, by taxpayer, device and type."""
    return map(_record, fetch(connection, _BY_NAME))


def _record(row: Row) -> MeterRecord:
    return MeterRecord(
        tax_number=row[0],
        machine_number=row[1],
        type=row[2],
        unuploaded_count=row[3],
        unuploaded_amount_fen=row[4],
        last_issue_time=row[5],
        change_number=row[6],
        oldest_issue_time=row[7],
        open_period=row[8],
        summarised_at=row[9],
        issue_time_min=row[10],
    )
