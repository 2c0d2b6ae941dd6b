"""Taking numbers back: the highest ones leave a segment, to the pool (收回) or for good (退回)."""

from collections.abc import Iterable
from dataclasses import replace

from invoice.errors import StockExhausted
from stock.assignment import Cut
from stock.segment import Segment


def cut_tail(segment: Segment, count: int) -> Cut:
    """Cut the ``count`` highest available numbers off a segment, which may be part-used.

    ``moved`` carries the id of the segment it was cut from; ``rest`` None: all of it went.

    Raises:
        ValueError: It is being returned or was returned, or it has not so many.
    """
    if segment.returning_count or segment.returned_count:
        raise ValueError(f"segment {segment.segment_id} is being returned and cannot be cut")
    if not 0 < count <= segment.available_count:
        raise ValueError(f"cannot cut {count} of {segment.available_count} numbers")
    at = segment.first + segment.count - count
    moved = replace(segment, first=at, next=at, count=count)
    if count == segment.count:
        return Cut(moved, None)
    return Cut(moved, replace(segment, count=segment.count - count))


def recall(segments: Iterable[Segment], count: int) -> list[Cut]:
    """Cut ``count`` numbers off a point's segments: one after another in the order given.

    Raises:
        StockExhausted: The point has fewer; nothing is cut then.
    """
    cuts: list[Cut] = []
    missing_count = count
    for segment in segments:
        if missing_count == 0:
            break
        cut = cut_tail(segment, min(missing_count, segment.available_count))
        cuts.append(cut)
        missing_count -= cut.moved.count
    if missing_count:
        raise StockExhausted(
            f"{count} numbers wanted, {count - missing_count} left at the point",
            available_count=count - missing_count,
        )
    return cuts
