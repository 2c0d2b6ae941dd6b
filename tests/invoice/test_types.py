"""The table of types says what the field has: fields, lines, remarks, pairs of red and blue."""

import pytest

from invoice.types import TYPES, Need

PUBLISHED = {
    "004": (True, False, Need.REQUIRED, 2000, 8, 200, "01", True),
    "007": (False, False, Need.OPTIONAL, 2000, 8, 200, "04", True),
    "025": (False, False, Need.NONE, 100, None, 200, "11", True),
    "026": (False, True, Need.OPTIONAL, 100, None, 130, "10", False),
    "028": (True, True, Need.REQUIRED, 100, None, 130, "08", True),
}


@pytest.mark.parametrize("code", PUBLISHED)
def test_a_type_has_its_published_properties(code: str) -> None:
    row = TYPES[code]

    kind = (row.special, row.electronic, row.buyer_contact)
    sizes = (row.line_count_max, row.listed_count_max, row.remark_bytes_max)
    assert (*kind, *sizes, row.qr_kind, row.partial_red) == PUBLISHED[code]
    assert row.buyer_tax_number is (Need.REQUIRED if row.special else Need.OPTIONAL)


def test_no_type_is_missing_and_none_is_ahead_of_its_time() -> None:
    assert TYPES.keys() == PUBLISHED.keys()


def test_special_reverses_special_and_general_reverses_general() -> None:
    assert TYPES["004"].reverses == {"004"}
    assert TYPES["028"].reverses == {"028"}
    assert TYPES["007"].reverses == TYPES["026"].reverses == {"007", "026", "025"}


def test_every_type_has_its_own_qr_kind() -> None:
    assert len({row.qr_kind for row in TYPES.values()}) == len(TYPES)
