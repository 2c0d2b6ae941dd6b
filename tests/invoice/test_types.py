"""The table of types says what the field has: fields, lines, remarks, pairs of red and blue."""

import pytest

from invoice.types import TYPES, CheckCode, Need, Office

PUBLISHED = {
    "004": (True, False, Need.REQUIRED, 2000, 8, 200, "01", True),
    "007": (False, False, Need.OPTIONAL, 2000, 8, 200, "04", True),
    "025": (False, False, Need.NONE, 100, None, 200, "11", True),
    "026": (False, True, Need.OPTIONAL, 100, None, 130, "10", False),
    "028": (True, True, Need.REQUIRED, 100, None, 130, "08", True),
    "081": (True, True, Need.REQUIRED, 2000, None, 200, "31", True),
    "082": (False, True, Need.OPTIONAL, 2000, None, 200, "32", True),
    "D01": (False, True, Need.NONE, 100, None, 200, "D1", False),
}
CODED = ((10, 12), 8)
DIGITAL = ((0,), 20)
# Widths of code and number, check code, fiscal code, VAT, donation project, notice of a red.
FORMS = {
    "004": (CODED, CheckCode.NONE, True, True, Need.NONE, Need.REQUIRED),
    "007": (CODED, CheckCode.DIGITS, True, True, Need.NONE, Need.OPTIONAL),
    "025": (CODED, CheckCode.DIGITS, True, True, Need.NONE, Need.OPTIONAL),
    "026": (CODED, CheckCode.DIGITS, True, True, Need.NONE, Need.OPTIONAL),
    "028": (CODED, CheckCode.NONE, True, True, Need.NONE, Need.REQUIRED),
    "081": (DIGITAL, CheckCode.NONE, True, True, Need.NONE, Need.REQUIRED),
    "082": (DIGITAL, CheckCode.DIGITS, True, True, Need.NONE, Need.OPTIONAL),
    "D01": (((8,), 10), CheckCode.CHARACTERS, False, False, Need.REQUIRED, Need.NONE),
}


@pytest.mark.parametrize("code", PUBLISHED)
def test_a_type_has_its_published_properties(code: str) -> None:
    row = TYPES[code]

    kind = (row.special, row.electronic, row.buyer_contact)
    sizes = (row.line_count_max, row.listed_count_max, row.remark_bytes_max)
    assert (*kind, *sizes, row.qr_kind, row.partial_red) == PUBLISHED[code]
    assert row.buyer_tax_number is (Need.REQUIRED if row.special else Need.OPTIONAL)


@pytest.mark.parametrize("code", FORMS)
def test_a_type_has_its_form_of_numbers_and_marks(code: str) -> None:
    row = TYPES[code]

    marks = (row.check_code, row.fiscal_code)
    needs = (row.donation_project, row.red_notice)
    assert ((row.code_widths, row.number_width), *marks, row.vat, *needs) == FORMS[code]


def test_no_type_is_missing_and_none_is_ahead_of_its_time() -> None:
    assert TYPES.keys() == PUBLISHED.keys() == FORMS.keys()


def test_only_donation_receipts_belong_to_the_finance_department() -> None:
    finance = {code for code, row in TYPES.items() if row.authority is Office.FINANCE}

    assert finance == {"D01"}


def test_special_reverses_special_and_general_reverses_general() -> None:
    assert TYPES["004"].reverses == {"004"}
    assert TYPES["028"].reverses == {"028"}
    assert [TYPES[code].reverses for code in ("081", "082", "D01")] == [{"081"}, {"082"}, {"D01"}]
    assert TYPES["007"].reverses == TYPES["026"].reverses == {"007", "026", "025"}


def test_every_type_has_its_own_qr_kind() -> None:
    assert len({row.qr_kind for row in TYPES.values()}) == len(TYPES)
