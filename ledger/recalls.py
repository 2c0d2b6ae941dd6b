"""Recalling stock from points (收回): a point's highest numbers lie in the pool again."""

from dataclasses import asdict

import apsw

from invoice.errors import PointNotFound, StockExhausted
from ledger.bindings import bind, first_effect
from ledger.records import Act, Binding, SegmentRecord
from ledger.segments import at_point, move, segment_record
from ledger.taxpayers import taxpayer_of
from stock.recall import recall as cut_point


def recall(
    connection: apsw.Connection,
    *,
    tax_number: str,
    point: int,
    type_code: str,
    count: int,
    binding: Binding,
    act: Act,
) -> tuple[list[SegmentRecord], bool]:
    """Move the highest numbers of a point to the pool; see ``port.Ledger.recall``."""
    effect = first_effect(connection, binding)
    if effect is not None:
        return [SegmentRecord(**segment) for segment in effect["segments"]], True
    owner = taxpayer_of(connection, binding.tenant, tax_number)
    if all(known.point != point for known in owner.points):
        raise PointNotFound(tax_number, point)
    try:
        cuts = cut_point(at_point(connection, tax_number, point, type_code), count)
    except StockExhausted as error:
        error.facts |= {"taxpayer": tax_number, "type": type_code, "point": str(point)}
        raise
    made = [segment_record(connection, move(connection, cut, None)) for cut in cuts]
    bind(
        connection,
        binding,
        act,
        target=f"taxpayers/{tax_number}/points/{point}",
        effect={"segments": [asdict(segment) for segment in made]},
    )
    return made, False
