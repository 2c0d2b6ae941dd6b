"""Identifiers are judged as their standards say; names read back as they were spelled."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import uscc

from invoice.errors import InvalidRequest
from invoice.identifiers import (
    DeviceName,
    InvoiceName,
    PointName,
    buyer_tax_number_valid,
    check_request_id,
    classification_code_valid,
    device_name,
    invoice_code_valid,
    invoice_name,
    invoice_number_valid,
    machine_number_valid,
    number_text,
    parse_device_name,
    parse_invoice_name,
    parse_point_name,
    parse_taxpayer_name,
    point_name,
    red_notice_valid,
    social_credit_code_valid,
    taxpayer_name,
)
from invoice.types import TYPES

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
TAXPAYER = "91530100WWWDWGCXHG"
BODY = st.builds(
    str.__add__,
    st.text(alphabet="0123456789", min_size=8, max_size=8),
    st.text(alphabet=ALPHABET, min_size=9, max_size=9),
)


@given(BODY)
def test_a_social_credit_code_holds_with_its_own_check_digit_only(body: str) -> None:
    valid = [digit for digit in ALPHABET if social_credit_code_valid(body + digit)]

    assert valid == [uscc.calc_check_digit(body)]


@given(st.text(alphabet=ALPHABET + "IOSVZa- 0123456789", min_size=17, max_size=19))
def test_a_social_credit_code_is_judged_as_the_reference_does(text: str) -> None:
    # The reference also takes separators and lower case, and only digits in front.
    strict = text == uscc.compact(text) and text[:2].isdigit()

    if strict:
        assert social_credit_code_valid(text) == uscc.is_valid(text)


@pytest.mark.parametrize("text", ["91530100WWWDWGCXHg", "91530100wwwdwgcxhg", " 1530100WWWDWGCXHG"])
def test_a_social_credit_code_is_taken_in_its_compact_form_only(text: str) -> None:
    assert social_credit_code_valid("91530100WWWDWGCXHG")
    assert not social_credit_code_valid(text)


def test_a_social_credit_code_may_begin_with_letters() -> None:
    body = "A1110000600037341"
    digit = uscc.calc_check_digit(body)

    assert social_credit_code_valid(body + digit)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("1" * 15, True),
        ("A" * 17, True),
        ("Z" * 20, True),  # only the 18-character form has an alphabet and a check digit
        ("1" * 14, False),
        ("1" * 16, False),
        ("1" * 18, False),
        ("1" * 19, False),
        ("1" * 21, False),
        ("１" * 15, False),
        ("1" * 14 + "\n", False),
        ("1" * 15 + "\n", False),
        ("", False),
    ],
)
def test_a_buyer_has_15_17_18_or_20_characters(text: str, valid: bool) -> None:
    assert buyer_tax_number_valid(text) is valid


@pytest.mark.parametrize(
    ("judge", "good", "bad"),
    [
        (classification_code_valid, "1030107010100000000", "103010701010000000"),
        (classification_code_valid, "1" * 19, "1" * 20),
        (classification_code_valid, "1" * 19, "１" * 19),
        (red_notice_valid, "5301012611000011", "5301012611000012"),
        (red_notice_valid, "0" * 16, "0" * 15),
        (invoice_code_valid, "053002600111", "05300260011"),
        (invoice_code_valid, "5300260011", "530026001x"),
        (invoice_code_valid, "11010126", "1101012"),
        (invoice_code_valid, "", "１１０１０１２６"),
        (machine_number_valid, "661234567890", "66123456789"),
    ],
)
def test_other_identifiers_are_judged_exactly(
    judge: Callable[[str], bool], good: str, bad: str
) -> None:
    assert judge(good)
    assert not judge(bad)


@pytest.mark.parametrize(
    ("number", "code", "valid"),
    [
        ("00000001", "053002600111", True),
        ("0000001", "053002600111", False),
        ("1" * 20, "", True),
        ("1" * 20, "053002600111", False),
        ("00000001", "", False),
        ("0000000001", "11010126", True),
        ("00000001", "11010126", False),
        ("0000000001", "053002600111", False),
        ("0000000x01", "11010126", False),
        ("", "", False),
    ],
)
def test_a_number_has_8_digits_under_a_code_20_without_and_10_on_a_receipt(
    number: str, code: str, valid: bool
) -> None:
    assert invoice_number_valid(number, code=code) is valid


SHAPES = [("053002600111", "00000001"), ("", "1" * 20), ("11010126", "0000000001")]


@pytest.mark.parametrize("type_code", TYPES)
def test_a_type_has_its_own_shape_of_code_and_number_only(type_code: str) -> None:
    own = (TYPES[type_code],)

    fitting = [
        (code, number)
        for code, number in SHAPES
        if invoice_code_valid(code, types=own)
        and invoice_number_valid(number, code=code, types=own)
    ]

    assert [len(code) in own[0].code_widths for code, _ in fitting] == [True]


def test_under_a_code_that_no_type_has_the_number_is_judged_by_itself() -> None:
    coded = (TYPES["026"], TYPES["D01"])

    assert invoice_number_valid("00000001", code="1", types=coded)
    assert invoice_number_valid("0000000001", code="1", types=coded)
    assert not invoice_number_valid("1" * 20, code="1", types=coded)


@given(
    prefix=st.text(alphabet="0123456789", max_size=8),
    running_width=st.integers(1, 15),
    data=st.data(),
)
def test_a_number_is_its_prefix_and_its_padded_running_part(
    prefix: str, running_width: int, data: st.DataObject
) -> None:
    running = data.draw(st.integers(0, 10**running_width - 1))

    text = number_text(prefix, len(prefix) + running_width, running)

    assert len(text) == len(prefix) + running_width
    assert text.startswith(prefix)
    assert int(text[len(prefix) :]) == running


@pytest.mark.parametrize(("prefix", "width", "running"), [("", 8, 10**8), ("26112", 8, 1000), ("", 8, -1)])  # fmt: skip
def test_a_number_that_does_not_fit_is_a_bug(prefix: str, width: int, running: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        number_text(prefix, width, running)


@given(st.from_regex(r"[0-9A-Za-z._:-]{1,120}", fullmatch=True))
def test_a_request_id_may_be_anything_printable_and_plain(text: str) -> None:
    check_request_id(text)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "FIELD_REQUIRED"),
        ("a" * 121, "FIELD_FORMAT"),
        ("a b", "FIELD_FORMAT"),
        ("a\n", "FIELD_FORMAT"),
        ("号", "FIELD_FORMAT"),
        ("a/b", "FIELD_FORMAT"),
    ],
)
def test_any_other_request_id_is_refused_by_name(text: str, rule: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        check_request_id(text)

    assert raised.value.facts == {"field": "request_id", "rule": rule}


@pytest.mark.parametrize(
    ("spelled", "parse", "parts"),
    [
        (taxpayer_name(TAXPAYER), parse_taxpayer_name, TAXPAYER),
        (
            invoice_name(TAXPAYER, "053002600111", "00000001"),
            parse_invoice_name,
            InvoiceName(TAXPAYER, "053002600111", "00000001"),
        ),
        (
            invoice_name(TAXPAYER, "", "2" * 20),
            parse_invoice_name,
            InvoiceName(TAXPAYER, "", "2" * 20),
        ),
        (
            invoice_name(TAXPAYER, "11010126", "0000000001"),
            parse_invoice_name,
            InvoiceName(TAXPAYER, "11010126", "0000000001"),
        ),
        (point_name(TAXPAYER, 0), parse_point_name, PointName(TAXPAYER, 0)),
        (point_name(TAXPAYER, 65535), parse_point_name, PointName(TAXPAYER, 65535)),
        (
            device_name(TAXPAYER, "661234567890"),
            parse_device_name,
            DeviceName(TAXPAYER, "661234567890"),
        ),
    ],
)
def test_a_name_reads_back_as_it_was_spelled(
    spelled: str, parse: Callable[[str], object], parts: object
) -> None:
    assert parse(spelled) == parts


@pytest.mark.parametrize(
    ("parse", "name", "field", "rule"),
    [
        (parse_taxpayer_name, "taxpayers/", "name", "FIELD_FORMAT"),
        (parse_taxpayer_name, "", "name", "FIELD_REQUIRED"),
        (parse_invoice_name, f"taxpayers/{TAXPAYER}/invoices/00000001", "name", "FIELD_FORMAT"),
        (parse_invoice_name, f"taxpayers/{TAXPAYER}/invoices/-00000001", "name", "FIELD_FORMAT"),
        (parse_invoice_name, f"taxpayers/{TAXPAYER}/points/1", "name", "FIELD_FORMAT"),
        (parse_invoice_name, f"taxpayers/{TAXPAYER}/invoices/1-00000001", "name", "FIELD_FORMAT"),
        (
            parse_invoice_name,
            f"taxpayers/{TAXPAYER}/invoices/11010126-00000001",
            "name",
            "FIELD_FORMAT",
        ),
        (
            parse_invoice_name,
            f"taxpayers/{TAXPAYER}/invoices/053002600111-0000000001",
            "name",
            "FIELD_FORMAT",
        ),
        (parse_invoice_name, f"taxpayers/{TAXPAYER}/invoices/{'1' * 20}\n", "name", "FIELD_FORMAT"),
        (parse_invoice_name, f"taxpayers/{TAXPAYER}/invoices/{'1' * 9000}", "name", "FIELD_FORMAT"),
        (parse_point_name, f"taxpayers/{TAXPAYER}/points/65536", "point", "FIELD_FORMAT"),
        (parse_point_name, f"taxpayers/{TAXPAYER}/points/01", "point", "FIELD_FORMAT"),
        (parse_point_name, f"taxpayers/{TAXPAYER}/points/-1", "point", "FIELD_FORMAT"),
        (parse_point_name, f"taxpayers/{TAXPAYER}/points/1\n", "point", "FIELD_FORMAT"),
        (parse_point_name, f"x/taxpayers/{TAXPAYER}/points/1", "point", "FIELD_FORMAT"),
        (parse_point_name, "", "point", "FIELD_REQUIRED"),
        (parse_device_name, f"taxpayers/{TAXPAYER}/devices/1", "device", "FIELD_FORMAT"),
    ],
)
def test_any_other_name_is_refused_by_name(
    parse: Callable[[str], object], name: str, field: str, rule: str
) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse(name)

    assert raised.value.facts == {"field": field, "rule": rule}
