"""The books of numbers: grants apart, parts end to end, each segment journalled without a gap."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import apsw

from invoice.identifiers import number_text
from ledger.books_tally import Findings, found
from ledger.records import Finding
from ledger.values import Row, fetch
from stock.custody import custody, uncovered
from stock.segment import Segment

_GRANTS = """
SELECT grant_number, grant_id, prefix, code, width, first, count, first_number, last_number, state
  FROM stock_grant
 WHERE state IN ('GRANTED', 'CONFIRMED')
 ORDER BY code, width, first_number
"""
_SEGMENTS = """
SELECT segment_id, code, prefix, width, first, count, next, returning_count, returned_count,
       grant_number, tax_number, type, point
  FROM segment
 ORDER BY tax_number, code, width, prefix, first
"""
_PARTS = """
SELECT s.segment_id, g.grant_number IS NULL OR g.state <> 'CONFIRMED',
       (s.tax_number, s.type, s.code, s.prefix, s.width)
           IS NOT (g.tax_number, g.type, g.code, g.prefix, g.width),
       s.first < g.first OR s.first + s.count > g.first + g.count
  FROM segment AS s
  LEFT JOIN stock_grant AS g ON g.grant_number = s.grant_number
"""


@dataclass(slots=True)
class Shelf:
    """A segment and how far its journal has been read. ``expected`` is the next number's text."""

    segment: Segment
    grant_number: int
    type: str
    point: int | None
    first_number: str
    last_number: str
    at: int
    expected: str
    last_issue_time: int = 0
    issued_count: int = 0
    reserved_count: int = 0
    blank_voided_count: int = 0

    def move_to(self, running: int) -> None:
        """Expect ``running`` next; behind the end there is nothing to expect."""
        self.at = running
        end = self.segment.first + self.segment.count
        self.expected = _text(self.segment, running) if running < end else ""


class Shelves:
    """All segments, to find the one a number belongs to, and what was found in each."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.by_grant: defaultdict[int, list[Shelf]] = defaultdict(list)
        self._by_place: defaultdict[tuple[str, str, int], list[Shelf]] = defaultdict(list)
        self._starts: dict[tuple[str, str, int], list[str]] = {}
        self._last: dict[tuple[str, str, int], Shelf] = {}
        for row in fetch(connection, _SEGMENTS):
            self._add(row)
        for place, shelves in self._by_place.items():
            shelves.sort(key=lambda shelf: shelf.first_number)
            self._starts[place] = [shelf.first_number for shelf in shelves]

    def find(self, tax_number: str, code: str, number: str) -> Shelf | None:
        """Return the segment that holds a number; None when none does."""
        place = tax_number, code, len(number)
        last = self._last.get(place)
        if last is not None and last.first_number <= number <= last.last_number:
            return last
        at = bisect_right(self._starts.get(place, []), number) - 1
        if at < 0:
            return None
        shelf = self._by_place[place][at]
        if number > shelf.last_number:
            return None
        self._last[place] = shelf
        return shelf

    def unfinished(self) -> Iterator[Finding]:
        """Say which segments' journals end before or after their next number, and every grant's sum."""
        for grant_number, shelves in self.by_grant.items():
            for shelf in shelves:
                following = shelf.segment.next
                if shelf.at != following:
                    yield found(
                        "I2_GAPLESS",
                        f"segments/{shelf.segment.segment_id}",
                        f"the journal ends before {shelf.at}, the segment is taken up to {following}",
                    )
            yield from _unbalanced(grant_number, shelves)

    def _add(self, row: Row) -> None:
        segment = Segment(
            segment_id=row[0],
            code=row[1],
            prefix=row[2],
            width=row[3],
            first=row[4],
            count=row[5],
            next=row[6],
            returning_count=row[7],
            returned_count=row[8],
        )
        first_number = _text(segment, segment.first)
        shelf = Shelf(
            segment=segment,
            grant_number=row[9],
            type=row[11],
            point=row[12],
            first_number=first_number,
            last_number=_text(segment, segment.first + segment.count - 1),
            at=segment.first,
            expected=first_number,
        )
        self.by_grant[row[9]].append(shelf)
        self._by_place[row[10], row[1], row[3]].append(shelf)


def check_grants(connection: apsw.Connection, shelves: Shelves) -> Iterator[Finding]:
    """Check that grants of all taxpayers are apart, and that a grant's parts are it, end to end."""
    yield from _check_parts(connection)
    before: Row | None = None
    for row in fetch(connection, _GRANTS):
        number, grant_id, prefix, code, width, first, count, first_number, last_number, state = row
        ends = _number_text(prefix, width, first), _number_text(prefix, width, first + count - 1)
        if ends != (first_number, last_number):
            message = f"it is from {first_number} to {last_number}, and should be from {ends}"
            yield found("I2_GAPLESS", f"grants/{grant_id}", message)
        if before is not None and before[3:5] == (code, width) and before[8] >= first_number:
            yield found("I1_UNIQUE", f"grants/{grant_id}", f"overlaps grants/{before[1]}")
        before = row
        if state != "CONFIRMED":
            continue
        hole = uncovered(first, count, (shelf.segment for shelf in shelves.by_grant[number]))
        if hole is not None:
            yield found(
                "I2_GAPLESS",
                f"grants/{grant_id}",
                f"its parts leave [{hole[0]}, {hole[1]}) to nobody, or give it out twice",
            )


def _check_parts(connection: apsw.Connection) -> Iterator[Finding]:
    for segment_id, ungranted, other_kind, other_numbers in fetch(connection, _PARTS):
        subject = f"segments/{segment_id}"
        if ungranted:
            yield found("I2_GAPLESS", subject, "it is part of no confirmed grant")
        elif other_kind or other_numbers:
            yield found("I2_GAPLESS", subject, "its grant is of another type or of other numbers")


def _unbalanced(grant_number: int, shelves: list[Shelf]) -> Findings:
    sums = custody(
        sum(shelf.segment.count for shelf in shelves),
        (shelf.segment for shelf in shelves),
        issued=sum(shelf.issued_count for shelf in shelves),
        reserved=sum(shelf.reserved_count for shelf in shelves),
        blank_voided=sum(shelf.blank_voided_count for shelf in shelves),
    )
    if sums.difference:
        message = f"{sums.difference} of {sums.count} numbers are unaccounted for: {sums}"
        yield found("I2_GAPLESS", f"grants/number-{grant_number}", message)


def _text(segment: Segment, running: int) -> str:
    return _number_text(segment.prefix, segment.width, running)


def _number_text(prefix: str, width: int, running: int) -> str:
    try:
        return number_text(prefix, width, running)
    except ValueError:
        return ""  # it does not fit, so no number is it
