"""Rules about documents that state no VAT: what only a VAT invoice says must be left out.

Texts of that kind (classification and own code, policy, code table) are judged with the texts.
"""

from collections.abc import Iterator
from operator import attrgetter
from typing import Final

from invoice.case import Case, at
from invoice.document import Nature, ZeroRateFlag
from invoice.errors import Violation

_BLANK: Final = {
    "nature": Nature.PLAIN,
    "tax_fen": 0,
    "rate_ppm": 0,
    "preferential": False,
    "zero_rate_flag": ZeroRateFlag.EMPTY,
    "deduction_fen": None,
    "tax_inclusive": False,
}
_values: Final = attrgetter(*_BLANK)
_MESSAGE: Final = "must be left out: this type states no tax"


def tax_fields(case: Case) -> Iterator[Violation]:
    """FIELD_NOT_ALLOWED for the tax of the header and all that a line says about its tax."""
    if case.draft.tax_fen:
        yield Violation("tax_fen", "FIELD_NOT_ALLOWED", _MESSAGE)
    for index, line in enumerate(case.lines):
        for (name, blank), value in zip(_BLANK.items(), _values(line), strict=True):
            if value != blank:
                yield Violation(at(index, name), "FIELD_NOT_ALLOWED", _MESSAGE)
