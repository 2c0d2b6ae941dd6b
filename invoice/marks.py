"""The marks printed on an invoice, derived from its signature: check code, fiscal code, QR text.

Nothing here is random or secret: whoever has the signature gets the same marks.
"""

import re
from datetime import date
from hashlib import sha256, sha512
from typing import Final, NamedTuple

from invoice.errors import InvalidRequest
from invoice.identifiers import invoice_code_valid, invoice_number_valid
from invoice.money import yuan
from invoice.types import TYPES, CheckCode

FISCAL_CODE_CHARACTERS: Final = 112

# Sixteen characters, so every hexadecimal digit of the hash becomes one of them without bias.
_FISCAL_ALPHABET: Final = str.maketrans("0123456789abcdef", "0123456789+-*/<>")

_CHARACTERS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_CHECK_CODES: Final = {
    CheckCode.NONE: re.compile(""),
    CheckCode.DIGITS: re.compile("[0-9]{20}"),
    CheckCode.CHARACTERS: re.compile("[0-9a-z]{6}"),
}
_QR: Final = re.compile(
    r"01,([0-9A-Z]{2}),([0-9]*),([0-9]+),"
    r"(-?)([0-9]{1,13})\.([0-9]{2}),([0-9]{8}),([0-9a-z]*),([0-9A-F]{4})"
)
_OF_QR_KIND: Final = {row.qr_kind: row for row in TYPES.values()}


class Qr(NamedTuple):
    """What a QR text says. ``code`` and ``check_code`` are ``""`` when it has none."""

    kind: str
    code: str
    number: str
    net_fen: int
    issue_date: date
    check_code: str


def check_code(signature: bytes, type_code: str) -> str:
    """Return the check code (校验码) in the form of its type, ``""`` where the type has none.

    SHA-256("check" ‖ signature) as a big-endian integer, modulo 10^20 in decimal or, as six of
    ``0-9a-z``, modulo 36^6 in base 36. 2^256 is so much larger that no digit is favoured by more
    than 2^-189.
    """
    form = TYPES[type_code].check_code
    if form is CheckCode.NONE:
        return ""
    digest = int.from_bytes(sha256(b"check" + signature).digest())
    if form is CheckCode.DIGITS:
        return f"{digest % 10**20:020}"
    return "".join(_CHARACTERS[digest // 36**place % 36] for place in range(5, -1, -1))


def fiscal_code(signature: bytes, type_code: str) -> str:
    """Return the fiscal code (密文): 112 characters of ``0-9+-*/<>``, ``""`` where there is none.

    SHA-512("fiscal" ‖ signature) in hexadecimal, its first 112 digits, with a–f written as
    ``+ - * / < >`` in that order.
    """
    if not TYPES[type_code].fiscal_code:
        return ""
    digest = sha512(b"fiscal" + signature).hexdigest()
    return digest[:FISCAL_CODE_CHARACTERS].translate(_FISCAL_ALPHABET)


def qr_text(
    *, type_code: str, code: str, number: str, net_fen: int, issue_date: date, check_code: str
) -> str:
    """Return the QR text ``01,kind,code,number,net amount,yyyyMMdd,check code,CRC``.

    ``issue_date`` is the civil date in Asia/Shanghai.
    """
    kind = TYPES[type_code].qr_kind
    day = issue_date.isoformat().replace("-", "")
    text = f"01,{kind},{code},{number},{yuan(net_fen)},{day},{check_code},"
    return f"{text}{crc16(text.encode('ascii')):04X}"


def parse_qr(text: str, *, field: str = "qr_text") -> Qr:
    """Read a QR text, of either CRC variant: one vendor leaves out the comma before the CRC.

    Raises:
        InvalidRequest: ``FIELD_FORMAT`` when it is no QR text of ours, ``QR_CRC`` when a
            character was misread.
    """
    match = _QR.fullmatch(text)
    if match is None:
        raise InvalidRequest(field, "FIELD_FORMAT", "not the QR text of an invoice")
    kind, code, number, sign, whole, cents, day, check, crc = match.groups()
    if not _is_of_kind(kind, code, number, check):
        raise InvalidRequest(field, "FIELD_FORMAT", "no invoice of this kind has such marks")
    covered = text[:-4].encode("ascii")
    if int(crc, 16) not in (crc16(covered), crc16(covered[:-1])):
        raise InvalidRequest(field, "QR_CRC", "the checksum does not hold: a character is wrong")
    return Qr(kind, code, number, int(sign + whole + cents), _day(day, field), check)


def crc16(data: bytes) -> int:
    """CRC-16 with polynomial 0x8005, start 0, not reflected, no final xor."""
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ _CRC_TABLE[crc >> 8 ^ byte]
    return crc


def _is_of_kind(kind: str, code: str, number: str, check_code: str) -> bool:
    row = _OF_QR_KIND.get(kind)
    return (
        row is not None
        and invoice_code_valid(code, types=(row,))
        and invoice_number_valid(number, code=code, types=(row,))
        and _CHECK_CODES[row.check_code].fullmatch(check_code) is not None
    )


def _crc_row(byte: int) -> int:
    crc = byte << 8
    for _ in range(8):
        crc = crc << 1 ^ (0x18005 if crc & 0x8000 else 0)
    return crc


_CRC_TABLE: Final = tuple(_crc_row(byte) for byte in range(256))


def _day(text: str, field: str) -> date:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError as error:
        raise InvalidRequest(field, "FIELD_FORMAT", f"no such day: {text}") from error
