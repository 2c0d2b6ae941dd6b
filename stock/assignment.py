"""Dividing the pool among points (分发): which numbers a point gets, and what stays."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from invoice.errors import StockExhausted
from stock.segment import Segment


@dataclass(frozen=True, slots=True)
class Cut:
    """One cut through a pool part: ``moved`` goes to the point, ``rest`` stays (None: all went).

    ``moved`` carries the id of the part it was cut from; the ledger gives it its own.
    """

    moved: Segment
    rest: Segment | None


def split(segment: Segment, count: int) -> Cut:
    """Cut the ``count`` lowest numbers off a part that nothing was taken from yet.

    Raises:
        ValueError: Numbers were taken or returned already, or it has not so many.
    """
    if segment.taken_count or segment.returning_count or segment.returned_count:
        raise ValueError(f"segment {segment.segment_id} is in use and cannot be cut")
    if not 0 < count <= segment.count:
        raise ValueError(f"cannot cut {count} of {segment.count} numbers")
    moved = replace(segment, count=count)
    if count == segment.count:
        return Cut(moved, None)
    at = segment.first + count
    return Cut(moved, replace(segment, first=at, next=at, count=segment.count - count))


def assign(pool: Iterable[Segment], count: int) -> list[Cut]:
    """Cut ``count`` numbers off the pool: part by part in the order given, lowest first.

    Raises:
        StockExhausted: The pool has fewer; nothing is cut then.
    """
    cuts: list[Cut] = []
    missing_count = count
    for part in pool:
        if missing_count == 0:
            break
        cut = split(part, min(missing_count, part.count))
        cuts.append(cut)
        missing_count -= cut.moved.count
    if missing_count:
        raise StockExhausted(
            f"{count} numbers wanted, {count - missing_count} left in the pool",
            available_count=count - missing_count,
        )
    return cuts
