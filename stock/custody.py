"""Where every number of a grant is (I2): nothing is missing, nothing is counted twice."""

from collections.abc import Iterable
from dataclasses import dataclass

from stock.segment import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """The numbers of a grant by where they are. ``issued`` includes voided and reversed ones."""

    count: int
    issued: int = 0
    reserved: int = 0
    blank_voided: int = 0
    returning: int = 0
    returned: int = 0
    available: int = 0

    @property
    def difference(self) -> int:
        """How many numbers are unaccounted for; negative when some are counted twice."""
        taken = self.issued + self.reserved + self.blank_voided
        return self.count - taken - self.returning - self.returned - self.available


def custody(
    count: int, parts: Iterable[Segment], *, issued: int, reserved: int, blank_voided: int
) -> Custody:
    """Add up a grant of ``count`` numbers: its parts as they stand, and what the journal holds."""
    parts = tuple(parts)
    return Custody(
        count=count,
        issued=issued,
        reserved=reserved,
        blank_voided=blank_voided,
        returning=sum(part.returning_count for part in parts),
        returned=sum(part.returned_count for part in parts),
        available=sum(part.available_count for part in parts),
    )


def uncovered(first: int, count: int, parts: Iterable[Segment]) -> tuple[int, int] | None:
    """Return the first running part at which the parts do not tile ``[first, first + count)``.

    The pair is (where it should go on, where a part begins or the grant ends); None when the
    parts lie end to end.
    """
    at = first
    for part in sorted(parts, key=lambda part: part.first):
        if part.first != at:
            return at, part.first
        at += part.count
    return None if at == first + count else (at, first + count)
