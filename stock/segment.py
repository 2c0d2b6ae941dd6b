"""A segment of invoice numbers (号段): consecutive, taken from the low end, never put back.

Arithmetic runs on the *running part*, an integer of at most 15 digits; a number's text is the
segment's fixed prefix and the running part, padded to the width. So a 20-digit number, which fits
no 64-bit integer, is counted like one of 8 digits.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from invoice.errors import StockExhausted
from invoice.identifiers import number_text

RUNNING_DIGITS_MAX = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """``[first, first + count)``; of it ``[next, first + count − tail)`` is available.

    The tail is what is being returned (RETURNING) or was returned (RETURNED) to the authority.
    """

    segment_id: int
    code: str
    prefix: str
    width: int
    first: int
    count: int
    next: int
    returning_count: int = 0
    returned_count: int = 0

    @property
    def available_count(self) -> int:
        """How many numbers can still be taken."""
        tail_count = self.returning_count + self.returned_count
        return self.first + self.count - tail_count - self.next

    @property
    def taken_count(self) -> int:
        """How many numbers have left it."""
        return self.next - self.first


@dataclass(frozen=True, slots=True)
class Taken:
    """Consecutive numbers that left a segment, which is as it stands afterwards."""

    segment: Segment
    numbers: tuple[str, ...]


def numbers(segment: Segment, first: int, count: int) -> tuple[str, ...]:
    """Write ``count`` numbers from the running part ``first`` on; ValueError when one does not fit."""
    if count == 0:
        return ()
    # The last one is the longest: when it fits, so do the others.
    number_text(segment.prefix, segment.width, first + count - 1)
    prefix, digits = segment.prefix, segment.width - len(segment.prefix)
    return tuple(f"{prefix}{running:0{digits}}" for running in range(first, first + count))


def take(segment: Segment, count: int) -> Taken:
    """Take the ``count`` lowest numbers of ``segment``.

    Pure: the caller stores the shortened segment in the transaction that journals the numbers,
    so that each leaves the shelf exactly once.

    Raises:
        StockExhausted: It has fewer. Nothing is taken then.
    """
    if not 0 <= count <= segment.available_count:
        raise StockExhausted(
            f"{count} numbers wanted, {segment.available_count} left in the segment",
            available_count=segment.available_count,
        )
    written = numbers(segment, segment.next, count)
    return Taken(replace(segment, next=segment.next + count), written)


def take_across(segments: Iterable[Segment], count: int) -> list[Taken]:
    """Take up to ``count`` numbers, each segment to its end before the next one.

    Fewer are taken when fewer are left: the caller counts them. Segments nothing was taken
    from are not in the answer.
    """
    taken = []
    for segment in segments:
        if count <= 0:
            break
        share = min(count, segment.available_count)
        if share > 0:
            taken.append(take(segment, share))
            count -= share
    return taken
