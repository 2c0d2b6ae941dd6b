"""Assigning stock to points (分发): the pool's lowest numbers become a segment of a point."""

from dataclasses import asdict

import apsw

from invoice.errors import PointNotFound, StockExhausted
from ledger.bindings import bind, first_effect
from ledger.records import Act, Binding, SegmentRecord
from ledger.segments import move, pool, segment_record
from ledger.taxpayers import taxpayer_of
from quota.period import day_of
from stock.assignment import assign as cut_pool


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
        # What is past its day stays behind: nobody could issue from it.
        cuts = cut_pool(pool(connection, tax_number, type_code, day_of(act.at)), count)
    except StockExhausted as error:
        error.facts |= {"taxpayer": tax_number, "type": type_code}
        raise
    made = [segment_record(connection, move(connection, cut, point)) for cut in cuts]
    bind(
        connection,
        binding,
        act,
        target=f"taxpayers/{tax_number}/points/{point}",
        effect={"segments": [asdict(segment) for segment in made]},
    )
    return made, False
