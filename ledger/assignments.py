"""Assigning stock to points (分发): the pool's lowest numbers become a segment of a point."""

from dataclasses import asdict

import apsw

from invoice.errors import PointNotFound, StockExhausted
from ledger.bindings import bind, first_effect
from ledger.records import Act, Binding, SegmentRecord
from ledger.segments import pool, segment_record
from ledger.taxpayers import taxpayer_of
from ledger.values import fetch
from stock.assignment import Cut
from stock.assignment import assign as cut_pool

_PART = (
    "SELECT grant_number, tax_number, type, code, prefix, width FROM segment WHERE segment_id = ?"
)
_SHORTEN = "UPDATE segment SET first = ?, next = ?, count = ? WHERE segment_id = ?"
_EMPTY = "DELETE FROM segment WHERE segment_id = ?"
_GIVE = """
INSERT INTO segment (grant_number, tax_number, type, code, prefix, width, point, first, count, next)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def assign(
    connection: apsw.Connection,
    *,
    tax_number: str,
    point: int,
    type_code: str,
    count: int,
    binding: Binding,
    act: Act,
) -> tuple[list[SegmentRecord], bool]:
    """Move the lowest numbers of the pool to a point; see ``port.Ledger.assign``."""
    effect = first_effect(connection, binding)
    if effect is not None:
        return [SegmentRecord(**segment) for segment in effect["segments"]], True
    owner = taxpayer_of(connection, binding.tenant, tax_number)
    if all(known.point != point for known in owner.points):
        raise PointNotFound(tax_number, point)
    try:
        cuts = cut_pool(pool(connection, tax_number, type_code), count)
    except StockExhausted as error:
        error.facts |= {"taxpayer": tax_number, "type": type_code}
        raise
    made = [segment_record(connection, _give(connection, cut, point)) for cut in cuts]
    bind(
        connection,
        binding,
        act,
        target=f"taxpayers/{tax_number}/points/{point}",
        effect={"segments": [asdict(segment) for segment in made]},
    )
    return made, False


def _give(connection: apsw.Connection, cut: Cut, point: int) -> int:
    """Store one cut and return the new segment's id: ids ascend in the order of assignment."""
    moved, rest = cut.moved, cut.rest
    part = fetch(connection, _PART, (moved.segment_id,))[0]
    # The pool makes room first: no number lies in two segments, even inside a transaction.
    if rest is None:
        connection.execute(_EMPTY, (moved.segment_id,))
    else:
        connection.execute(_SHORTEN, (rest.first, rest.next, rest.count, rest.segment_id))
    connection.execute(_GIVE, (*part, point, moved.first, moved.count, moved.first))
    return connection.last_insert_rowid()
