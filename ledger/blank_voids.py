"""Deciding a blank void (空白作废): which number may be given up, and how it leaves its place."""

from typing import NamedTuple

import apsw

from invoice import rates
from invoice.content import fingerprint, read
from invoice.document import Kind
from invoice.errors import NumberNotBlank, PointNotFound, TaxpayerNotFound
from invoice.statements import StatementKind, blank_void
from ledger.bindings import first_effect
from ledger.meters import Backlog, behind_s_max, clock_fault, take_off
from ledger.month_totals import Month, MonthTotals, add_blank_void
from ledger.records import Act, Binding, StatementRecord
from ledger.reversals import Red, give_back
from ledger.segments import expired_segments, open_segments, store_taken
from ledger.statements import bound_statement, reserve
from ledger.values import fetch
from quota.period import day_of, period_of
from stock.segment import Segment, take

# A number whose entry waits longer than this for its signature may be given up.
WAITING_S_MIN = 60.0

_PLACE = """
SELECT t.tenant, p.machine_number, max(m.last_issue_time, m.issue_time_min)
  FROM taxpayer AS t
  LEFT JOIN point AS p ON p.tax_number = t.tax_number AND p.point = ?
  LEFT JOIN meter AS m
    ON m.tax_number = t.tax_number AND m.machine_number = p.machine_number AND m.type = ?
 WHERE t.tax_number = ?
"""
_ENTRY = """
SELECT i.invoice_id, i.state, i.machine_number, i.point, i.type, i.kind, i.reserved_at,
       i.issue_time, i.net_fen, i.tax_fen, max(m.last_issue_time, m.issue_time_min),
       c.content
  FROM invoice AS i
  LEFT JOIN content AS c ON c.invoice_id = i.invoice_id
  JOIN meter AS m
    ON m.tax_number = i.tax_number AND m.machine_number = i.machine_number AND m.type = i.type
 WHERE i.tax_number = ? AND i.code = ? AND i.number = ?
"""
_GIVE_UP = "UPDATE invoice SET state = 'BLANK_VOIDED' WHERE invoice_id = ?"
# Nobody asked for an invoice: the row stands for the number, under the id of its blank void.
_JOURNAL = """
INSERT INTO invoice (tax_number, code, number, tenant, request_id, fingerprint, machine_number,
    point, type, kind, issue_time, net_fen, tax_fen, state, worker, reserved_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'blue', ?, 0, 0, 'BLANK_VOIDED', ?, ?)
"""
_MOVE_CLOCK = """
UPDATE meter
   SET last_issue_time = ?
 WHERE tax_number = ? AND machine_number = ? AND type = ?
"""
NO_FINGERPRINT = fingerprint(b"")
"""Of a number that was voided before anybody took it."""


class _Wish(NamedTuple):
    """Which number, where, by whom, and when."""

    tax_number: str
    point: int
    type: str
    code: str
    number: str
    reason: str
    tenant: str
    request_id: str
    worker: str
    now: float


class _Entry(NamedTuple):
    """A row of ``_ENTRY``."""

    invoice_id: int
    state: str
    machine_number: str
    point: int
    type: str
    kind: str
    reserved_at: float
    issue_time: int
    net_fen: int
    tax_fen: int
    time_min: int
    content: bytes

    def waits(self, wish: _Wish) -> bool:
        """Tell whether it has waited long enough, at the place that was named."""
        return (
            self.state == "RESERVED"
            and (self.point, self.type) == (wish.point, wish.type)
            and wish.now - self.reserved_at >= WAITING_S_MIN
        )


def reserve_blank_void(
    connection: apsw.Connection,
    *,
    tax_number: str,
    point: int,
    type_code: str,
    code: str,
    number: str,
    reason: str,
    binding: Binding,
    act: Act,
    worker: str,
    now: float,
    clock_trusted: bool,
) -> tuple[StatementRecord, bool]:
    """Decide a blank void; see ``port.Ledger.reserve_blank_void``."""
    if first_effect(connection, binding) is not None:
        return bound_statement(connection, binding), True
    wish = _Wish(
        tax_number=tax_number,
        point=point,
        type=type_code,
        code=code,
        number=number,
        reason=reason,
        tenant=binding.tenant,
        request_id=binding.request_id,
        worker=worker,
        now=now,
    )
    machine_number, time_min = _place(connection, wish)
    entry = _entry(connection, wish)
    if entry is not None:
        machine_number, time_min = entry.machine_number, entry.time_min
    fault = clock_fault(time_min, now, behind_s_max(trusted=clock_trusted))
    if fault is not None:
        raise fault
    void_time = max(int(now), time_min)
    if entry is None:
        invoice_id = _take_next(connection, wish, machine_number, void_time)
    else:
        invoice_id = _give_up(connection, wish, entry, void_time)
    add_blank_void(
        connection, Month(wish.tax_number, machine_number, wish.type, period_of(void_time))
    )
    statement = _statement(wish, machine_number, void_time)
    reserve(connection, statement, invoice_id, binding, act)
    return statement, False


def _place(connection: apsw.Connection, wish: _Wish) -> tuple[str, int]:
    """Return the point's device and what nothing of its meter is dated before; 0 without a meter."""
    rows = fetch(connection, _PLACE, (wish.point, wish.type, wish.tax_number))
    if not rows or rows[0][0] != wish.tenant:
        raise TaxpayerNotFound(wish.tax_number)
    _, machine_number, time_min = rows[0]
    if machine_number is None:
        raise PointNotFound(wish.tax_number, wish.point)
    return machine_number, time_min or 0


def _entry(connection: apsw.Connection, wish: _Wish) -> _Entry | None:
    rows = fetch(connection, _ENTRY, (wish.tax_number, wish.code, wish.number))
    return _Entry(*rows[0]) if rows else None


def _take_next(
    connection: apsw.Connection, wish: _Wish, machine_number: str, void_time: int
) -> int:
    """Take the point's next number, which must be the one that was named; return its row."""
    following = _next_segments(connection, wish, void_time)
    for segment in following:
        taken = take(segment, 1)
        if (segment.code, taken.numbers[0]) == (wish.code, wish.number):
            break
    else:
        raise _not_blank(following, "")
    store_taken(connection, [segment.segment_id, taken.segment.next])
    connection.execute(
        _JOURNAL,
        (
            wish.tax_number,
            wish.code,
            wish.number,
            wish.tenant,
            wish.request_id,
            NO_FINGERPRINT,
            machine_number,
            wish.point,
            wish.type,
            void_time,
            wish.worker,
            wish.now,
        ),
    )
    invoice_id = connection.last_insert_rowid()
    connection.execute(_MOVE_CLOCK, (void_time, wish.tax_number, machine_number, wish.type))
    return invoice_id


def _give_up(connection: apsw.Connection, wish: _Wish, entry: _Entry, void_time: int) -> int:
    """End an entry that waits for its signature: it counts nowhere any more; return its row."""
    if not entry.waits(wish):
        raise _not_blank(_next_segments(connection, wish, void_time), entry.state)
    connection.execute(_GIVE_UP, (entry.invoice_id,))
    meter = wish.tax_number, entry.machine_number, entry.type
    take_off(connection, {meter: Backlog(1, abs(entry.net_fen), entry.issue_time)})
    totals = MonthTotals()
    month = Month(*meter, period_of(entry.issue_time))
    by_rate = rates.of_content(read(entry.content))
    what = Kind(entry.kind).name
    totals.add(month, what, entry.net_fen, entry.tax_fen, by_rate, times=-1)
    totals.store(connection)
    if entry.kind == Kind.RED:
        red = Red(entry.invoice_id, abs(entry.net_fen), abs(entry.tax_fen))
        give_back(connection, red, was_issued=False)
    return entry.invoice_id


def _next_segments(connection: apsw.Connection, wish: _Wish, void_time: int) -> list[Segment]:
    """Return whose next number may be given up: what is issued from now, and the oldest past its day."""
    counter = wish.tax_number, wish.point, wish.type
    day = day_of(void_time)
    return [
        *open_segments(connection, counter, day, 1),
        *expired_segments(connection, counter, day, 1),
    ]


def _not_blank(following: list[Segment], state: str) -> NumberNotBlank:
    if not following:
        return NumberNotBlank(next_code="", next_number="", state=state)
    (number,) = take(following[0], 1).numbers
    return NumberNotBlank(next_code=following[0].code, next_number=number, state=state)


def _statement(wish: _Wish, machine_number: str, void_time: int) -> StatementRecord:
    content = blank_void(
        device=machine_number,
        code=wish.code,
        number=wish.number,
        void_time=void_time,
        taxpayer=wish.tax_number,
        point=wish.point,
        type=wish.type,
        reason=wish.reason,
    )
    return StatementRecord(
        tenant=wish.tenant,
        request_id=wish.request_id,
        kind=StatementKind.BLANK_VOID,
        tax_number=wish.tax_number,
        machine_number=machine_number,
        point=wish.point,
        type=wish.type,
        code=wish.code,
        number=wish.number,
        statement_time=void_time,
        content=content,
        state="RESERVED",
        worker=wish.worker,
        reserved_at=wish.now,
    )
