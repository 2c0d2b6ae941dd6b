"""Marks follow from the signature alone, and a QR text survives reading, never misreading."""

from datetime import date
from hashlib import sha256, sha512
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoice.errors import InvalidRequest
from invoice.marks import Qr, check_code, crc16, fiscal_code, parse_qr, qr_text
from invoice.types import TYPES, CheckCode

SIGNATURES = st.binary(min_size=64, max_size=64)
QR = qr_text(
    type_code="026",
    code="053002600111",
    number="00000001",
    net_fen=28496,
    issue_date=date(2026, 11, 22),
    check_code="12345678901234567890",
)


def bitwise_crc(data: bytes) -> int:
    """The definition: shift bit by bit, subtract the polynomial on carry."""
    crc = 0
    for byte in data:
        for bit in range(7, -1, -1):
            carry = (crc >> 15) ^ (byte >> bit & 1)
            crc = (crc << 1) & 0xFFFF
            if carry:
                crc ^= 0x8005
    return crc


def test_the_crc_gives_its_published_check_value() -> None:
    # CRC-16/UMTS (also BUYPASS): poly 0x8005, init 0, not reflected, no final xor.
    assert crc16(b"123456789") == 0xFEE8


@given(st.binary(max_size=200))
def test_the_crc_table_is_the_bitwise_definition(data: bytes) -> None:
    assert crc16(data) == bitwise_crc(data)


@given(SIGNATURES)
def test_a_check_code_has_twenty_digits_of_the_signatures_hash(signature: bytes) -> None:
    code = check_code(signature, "026")

    digest = sha256(b"check" + signature).hexdigest()
    assert len(code) == 20
    assert int(code) == int(digest, 16) % 10**20


@given(SIGNATURES)
def test_a_receipt_has_six_characters_of_the_same_hash_in_base_36(signature: bytes) -> None:
    code = check_code(signature, "D01")

    digest = sha256(b"check" + signature).hexdigest()
    assert len(code) == 6
    assert set(code) <= set("0123456789abcdefghijklmnopqrstuvwxyz")
    assert int(code, 36) == int(digest, 16) % 36**6


@pytest.mark.parametrize("type_code", TYPES)
def test_special_types_have_no_check_code(type_code: str) -> None:
    assert (check_code(b"signature", type_code) == "") == TYPES[type_code].special


@pytest.mark.parametrize("type_code", TYPES)
def test_only_receipts_have_no_fiscal_code(type_code: str) -> None:
    assert len(fiscal_code(b"signature", type_code)) == (0 if type_code == "D01" else 112)


@given(SIGNATURES)
def test_a_fiscal_code_has_112_characters_of_its_alphabet(signature: bytes) -> None:
    code = fiscal_code(signature, "026")

    spelled = code.translate(str.maketrans("+-*/<>", "abcdef"))
    assert len(code) == 112
    assert set(code) <= set("0123456789+-*/<>")
    assert spelled == sha512(b"fiscal" + signature).hexdigest()[:112]


def test_a_qr_text_reads_as_published() -> None:
    text, crc = QR[:-4], QR[-4:]

    assert text == "01,10,053002600111,00000001,284.96,20261122,12345678901234567890,"
    assert crc == f"{bitwise_crc(text.encode()):04X}"


CODES = {10: "5300261130", 12: "053002600111", 8: "11010126", 0: ""}
CHECK_CODES = {
    CheckCode.NONE: "",
    CheckCode.DIGITS: "12345678901234567890",
    CheckCode.CHARACTERS: "0az9b1",
}


@st.composite
def parts(draw: st.DrawFn) -> dict[str, Any]:
    row = TYPES[draw(st.sampled_from(sorted(TYPES)))]
    number = draw(st.integers(0, 10**row.number_width - 1))
    return {
        "type_code": row.code,
        "code": CODES[draw(st.sampled_from(row.code_widths))],
        "number": f"{number:0{row.number_width}}",
        "net_fen": draw(st.integers(-(10**14), 10**14)),
        "issue_date": draw(st.dates(date(2000, 1, 1), date(2099, 12, 31))),
        "check_code": CHECK_CODES[row.check_code],
    }


def without_comma(text: str) -> str:
    """The vendor variant: the checksum leaves out the comma before it."""
    covered = text[:-5]
    return f"{covered},{bitwise_crc(covered.encode()):04X}"


@given(parts())
def test_a_qr_text_of_any_type_reads_back_in_both_variants(made: dict[str, Any]) -> None:
    text = qr_text(**made)

    kind = TYPES[made.pop("type_code")].qr_kind
    assert parse_qr(text) == parse_qr(without_comma(text)) == Qr(kind=kind, **made)


@given(parts(), parts())
def test_a_qr_text_is_of_one_type_in_every_part(one: dict[str, Any], other: dict[str, Any]) -> None:
    """What one kind has is refused under another, unless that one has it too."""
    rows = TYPES[one["type_code"]], TYPES[other["type_code"]]
    forms = {(row.code_widths, row.number_width, row.check_code) for row in rows}
    text = qr_text(**(one | {"type_code": other["type_code"]}))

    if len(forms) == 1:
        assert parse_qr(text).kind == rows[1].qr_kind
    else:
        with pytest.raises(InvalidRequest, match="no invoice of this kind"):
            parse_qr(text)


@given(st.integers(0, len(QR) - 1), st.sampled_from("0123456789"))
def test_a_misread_character_is_refused(place: int, character: str) -> None:
    misread = QR[:place] + character + QR[place + 1 :]

    if misread != QR:
        with pytest.raises(InvalidRequest):
            parse_qr(misread)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "FIELD_FORMAT"),
        (QR.lower() if QR.lower() != QR else QR[:-1], "FIELD_FORMAT"),
        (QR + "\n", "FIELD_FORMAT"),
        (QR.replace("01,10,", "01,99,"), "FIELD_FORMAT"),
        (QR.replace("284.96", "284.97"), "QR_CRC"),
        (QR[:-4] + "0000", "QR_CRC"),
    ],
)
def test_what_is_no_qr_text_is_refused_by_name(text: str, rule: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse_qr(text)

    assert raised.value.facts == {"field": "qr_text", "rule": rule}


def test_a_day_that_does_not_exist_is_refused() -> None:
    covered = QR[:-4].replace("20261122", "20261131")

    with pytest.raises(InvalidRequest, match="no such day"):
        parse_qr(f"{covered}{bitwise_crc(covered.encode()):04X}")
