"""One request under judgement: what every rule looks at, and how a violation's path is spelled."""

from dataclasses import dataclass
from typing import Final, Self

from invoice.document import Draft, Kind, Line, Taxpayer, TypeGrant
from invoice.types import TYPES, UNKNOWN, InvoiceType

# A request with more lines than any type allows is refused for that at once; judging each of
# its lines too would only let a caller buy our time.
JUDGED_LINE_COUNT_MAX: Final = UNKNOWN.line_count_max

_RED: Final = Kind.RED


@dataclass(frozen=True, slots=True)
class Case:
    """A draft beside what is known of its type and of its seller.

    ``type`` is ``UNKNOWN`` for a type we do not have, ``grant`` None for one that the seller may
    not issue. ``lines`` are those of the draft, as far as they are judged one by one.
    """

    draft: Draft
    taxpayer: Taxpayer
    type: InvoiceType
    grant: TypeGrant | None
    lines: tuple[Line, ...]
    red: bool

    @classmethod
    def of(cls, draft: Draft, taxpayer: Taxpayer) -> Self:
        """Look up what the rules need."""
        return cls(
            draft,
            taxpayer,
            TYPES.get(draft.type, UNKNOWN),
            taxpayer.grants.get(draft.type),
            draft.lines[:JUDGED_LINE_COUNT_MAX],
            draft.kind is _RED,
        )


def at(index: int, field: str) -> str:
    """Spell the path of a line's field."""
    return f"lines[{index}].{field}"
