"""Returning stock to the authority (退回): numbers are set aside before anybody is asked.

They lie in a segment row of their own, all of it RETURNING, so that nothing else can take them
while the answer is out: then they are RETURNED for good, or available where they were.
"""

from dataclasses import asdict

import apsw

from invoice.errors import SegmentNotFound, StockExhausted
from ledger.bindings import bind, first_effect, record_answer
from ledger.records import Act, Binding, ReturnRecord
from ledger.segments import find_segment_record, move, segment_of, segment_record
from ledger.taxpayers import taxpayer_of
from ledger.values import Row, fetch, fetch_one
from stock.recall import cut_tail
from stock.segment import Segment

_COLUMNS = """
SELECT tenant, request_id, authority_request_id, tax_number, type, count, state, return_serial,
       refusal, requested_at, answered_at, segment_id
  FROM stock_return
"""
_ONE = _COLUMNS + "WHERE tenant = ? AND request_id = ?"
_OPEN = (
    _COLUMNS  # noqa: S608 - put together from constants
    + """
 WHERE state = 'REQUESTED'
   AND return_number > ifnull((SELECT return_number
                                 FROM stock_return
                                WHERE tenant = ? AND request_id = ?), 0)
 ORDER BY return_number
 LIMIT ?
"""
)
_WISH = """
INSERT INTO stock_return (tenant, request_id, authority_request_id, tax_number, type, segment_id,
    first, count, state, requested_at)
SELECT ?, ?, ?, tax_number, type, segment_id, first, count, 'REQUESTED', ?
  FROM segment
 WHERE segment_id = ?
"""
_POINT = "SELECT point FROM segment WHERE segment_id = ?"
_SET_ASIDE = "UPDATE segment SET returning_count = count WHERE segment_id = ?"
# Nothing leaves a month that is closed, whatever a clock that was set back says.
_ANSWER = """
UPDATE stock_return
   SET state = ?, return_serial = ?, refusal = ?,
       answered_at = max(?, (SELECT ifnull(max(m.issue_time_min), 0)
                               FROM meter AS m
                              WHERE m.tax_number = stock_return.tax_number))
 WHERE tenant = ? AND request_id = ? AND state = 'REQUESTED'
RETURNING segment_id, tax_number, authority_request_id, answered_at
"""
_GONE = "UPDATE segment SET returned_count = count, returning_count = 0 WHERE segment_id = ?"
_BACK = "UPDATE segment SET returning_count = 0 WHERE segment_id = ?"


def request_return(
    connection: apsw.Connection,
    *,
    tax_number: str,
    segment_id: int,
    count: int,
    authority_request_id: str,
    binding: Binding,
    act: Act,
) -> tuple[ReturnRecord, bool]:
    """Set the numbers aside; see ``port.Ledger.request_return``."""
    if first_effect(connection, binding) is not None:
        return return_of(connection, binding.tenant, binding.request_id), True
    taxpayer_of(connection, binding.tenant, tax_number)
    segment = segment_of(connection, tax_number, segment_id)
    if segment is None:
        raise SegmentNotFound(segment_id)
    if count > segment.available_count:
        raise StockExhausted(
            f"{count} numbers wanted, {segment.available_count} left in the segment",
            taxpayer=tax_number,
            segment_id=segment_id,
            available_count=segment.available_count,
        )
    aside_id = _set_aside(connection, segment, count)
    connection.execute(
        _WISH, (binding.tenant, binding.request_id, authority_request_id, act.at, aside_id)
    )
    bind(
        connection,
        binding,
        act,
        target=f"taxpayers/{tax_number}",
        effect={
            "tax_number": tax_number,
            "return": authority_request_id,
            "segment": asdict(segment_record(connection, aside_id)),
        },
    )
    return return_of(connection, binding.tenant, binding.request_id), False


def store_return(
    connection: apsw.Connection, tenant: str, request_id: str, return_serial: str, now: float
) -> ReturnRecord:
    """Store that the authority has taken the numbers back."""
    answer = ("RETURNED", return_serial, "", now)
    for segment_id in _answered(connection, tenant, request_id, answer):
        connection.execute(_GONE, (segment_id,))
    return _in_state("RETURNED", return_of(connection, tenant, request_id))


def refuse_return(
    connection: apsw.Connection, tenant: str, request_id: str, refusal: str, now: float
) -> ReturnRecord:
    """Store that the authority would not have the numbers: they are available again."""
    answer = ("REFUSED", "", refusal, now)
    for segment_id in _answered(connection, tenant, request_id, answer):
        connection.execute(_BACK, (segment_id,))
    return _in_state("REFUSED", return_of(connection, tenant, request_id))


def open_returns(
    connection: apsw.Connection, after: tuple[str, str], count_max: int
) -> list[ReturnRecord]:
    """Return what the authority must be asked about again, oldest first."""
    return [_record(connection, row) for row in fetch(connection, _OPEN, (*after, count_max))]


def return_of(connection: apsw.Connection, tenant: str, request_id: str) -> ReturnRecord:
    """Return a return; LookupError when no such wish was stored."""
    rows = fetch(connection, _ONE, (tenant, request_id))
    if not rows:
        raise LookupError(f"no return was wished for under {request_id}")
    return _record(connection, rows[0])


def _set_aside(connection: apsw.Connection, segment: Segment, count: int) -> int:
    """Put the highest numbers into a row of their own, where they were; return its id."""
    cut = cut_tail(segment, count)
    aside_id = segment.segment_id
    if cut.rest is not None:
        aside_id = move(connection, cut, fetch_one(connection, _POINT, (aside_id,)))
    connection.execute(_SET_ASIDE, (aside_id,))
    return aside_id


def _answered(
    connection: apsw.Connection, tenant: str, request_id: str, answer: tuple[str, str, str, float]
) -> list[int]:
    """Store the first answer and put it on record; return the segment it is about."""
    rows = fetch(connection, _ANSWER, (*answer, tenant, request_id))
    state, return_serial, refusal, _ = answer
    for _, tax_number, authority_request_id, answered_at in rows:
        record_answer(
            connection,
            tenant,
            request_id,
            target=f"taxpayers/{tax_number}",
            answer={
                "return": authority_request_id,
                "state": state,
                "return_serial": return_serial,
                "refusal": refusal,
            },
            now=answered_at,
        )
    return [row[0] for row in rows]


def _in_state(state: str, record: ReturnRecord) -> ReturnRecord:
    if record.state != state:
        raise LookupError(f"return {record.request_id} is {record.state} and cannot be {state}")
    return record


def _record(connection: apsw.Connection, row: Row) -> ReturnRecord:
    return ReturnRecord(
        tenant=row[0],
        request_id=row[1],
        authority_request_id=row[2],
        tax_number=row[3],
        type=row[4],
        count=row[5],
        state=row[6],
        return_serial=row[7],
        refusal=row[8],
        requested_at=row[9],
        answered_at=row[10],
        segment=find_segment_record(connection, row[11]),
    )
