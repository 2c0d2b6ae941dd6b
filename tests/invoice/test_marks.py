"""Marks follow from the signature alone, and a QR text survives reading, never misreading."""

from datetime import date
from hashlib import sha256, sha512
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoice.errors import InvalidRequest
from invoice.marks import Qr, check_code, crc16, fiscal_code, parse_qr, qr_text
from invoice.types import TYPES

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


@pytest.mark.parametrize("type_code", TYPES)
def test_special_types_have_no_check_code(type_code: str) -> None:
    assert (check_code(b"signature", type_code) == "") == TYPES[type_code].special


@given(SIGNATURES)
def test_a_fiscal_code_has_112_characters_of_its_alphabet(signature: bytes) -> None:
    code = fiscal_code(signature)

    spelled = code.translate(str.maketrans("+-*/<>", "abcdef"))
    assert len(code) == 112
    assert set(code) <= set("0123456789+-*/<>")
    assert spelled == sha512(b"fiscal" + signature).hexdigest()[:112]


def test_a_qr_text_reads_as_published() -> None:
    text, crc = QR[:-4], QR[-4:]

    assert text == "01,10,053002600111,00000001,284.96,20261122,12345678901234567890,"
    assert crc == f"{bitwise_crc(text.encode()):04X}"


PARTS = st.fixed_dictionaries(
    {
        "type_code": st.sampled_from(sorted(TYPES)),
        "code": st.sampled_from(["053002600111", "5300261130"]),
        "number": st.integers(0, 10**8 - 1).map("{:08}".format),
        "net_fen": st.integers(-(10**14), 10**14),
        "issue_date": st.dates(date(2000, 1, 1), date(2099, 12, 31)),
        "check_code": st.sampled_from(["", "0" * 20, "12345678901234567890"]),
    }
)


@given(PARTS)
def test_a_qr_text_reads_back(parts: dict[str, Any]) -> None:
    text = qr_text(**parts)

    kind = TYPES[parts.pop("type_code")].qr_kind
    assert parse_qr(text) == Qr(kind=kind, **parts)


def test_a_crc_without_the_last_comma_is_taken_too() -> None:
    covered = QR[:-5]

    assert parse_qr(f"{covered},{bitwise_crc(covered.encode()):04X}") == parse_qr(QR)


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
