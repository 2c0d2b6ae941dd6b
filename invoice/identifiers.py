"""The numbers that name things: how each is formed, checked and, for resources, spelled.

Checks answer True or False and judge the exact text: no trimming, no upper-casing. Parsers of
resource names raise :class:`InvalidRequest` with rule ``FIELD_FORMAT``.
"""

import re
from collections.abc import Collection
from operator import mul
from typing import Final, NamedTuple

from invoice.errors import InvalidRequest
from invoice.types import TYPES, InvoiceType

# GB 32100-2015: 0-9 and A-Z without I, O, S, V, Z; a character's value is its position.
_USCC_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_VALUE: Final = {character: value for value, character in enumerate(_USCC_ALPHABET)}
_USCC_WEIGHTS: Final = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
# Registering department and category, six digits of region, nine of organisation, one check.
_USCC: Final = re.compile(r"[0-9A-HJ-NP-RTUWXY]{2}[0-9]{6}[0-9A-HJ-NP-RTUWXY]{10}")
_OLD_TAX_NUMBER: Final = re.compile(r"[0-9A-Z]{15}|[0-9A-Z]{17}|[0-9A-Z]{20}")
_CLASSIFICATION_CODE: Final = re.compile(r"[0-9]{19}")
_RED_NOTICE: Final = re.compile(r"[0-9]{16}")
_DIGITS: Final = re.compile(r"[0-9]*")
_MACHINE_NUMBER: Final = re.compile(r"[0-9]{12}")
_REQUEST_ID: Final = re.compile(r"[0-9A-Za-z._:-]{1,120}")

_TAXPAYER: Final = r"taxpayers/([0-9A-Z]{15,20})"
_INVOICE_NAME: Final = re.compile(_TAXPAYER + r"/invoices/(?:([0-9]+)-)?([0-9]+)")
_POINT_NAME: Final = re.compile(_TAXPAYER + r"/points/(0|[1-9][0-9]{0,4})")
_DEVICE_NAME: Final = re.compile(_TAXPAYER + r"/devices/([0-9]{12})")
_TAXPAYER_NAME: Final = re.compile(_TAXPAYER)

_ALL_TYPES: Final = tuple(TYPES.values())

POINT_MAX: Final = 65535  # 0 is the main point (主机), 1–65535 are sub points (分机)


class InvoiceName(NamedTuple):
    """The parts of an invoice's resource name; ``code`` is ``""`` for a digital one."""

    taxpayer: str
    code: str
    number: str


class PointName(NamedTuple):
    """The parts of an issuing point's resource name."""

    taxpayer: str
    point: int


class DeviceName(NamedTuple):
    """The parts of a device's resource name."""

    taxpayer: str
    machine_number: str


def social_credit_code_valid(text: str) -> bool:
    """Tell whether ``text`` is a unified social credit code (统一社会信用代码) with a right check digit."""
    if _USCC.fullmatch(text) is None:
        return False
    total = sum(map(mul, _USCC_WEIGHTS, map(_USCC_VALUE.__getitem__, text)))
    # zip-like `map` stops after 17 weights, so the check digit itself is not weighed.
    return _USCC_ALPHABET[-total % 31] == text[17]


def buyer_tax_number_valid(text: str) -> bool:
    """Tell whether a buyer may have this tax number: 15, 17, 18 (checked) or 20 characters."""
    if len(text) == 18:
        return social_credit_code_valid(text)
    return _OLD_TAX_NUMBER.fullmatch(text) is not None


def classification_code_valid(text: str) -> bool:
    """Tell whether ``text`` is a tax classification code (税收分类编码): 19 digits, padding included."""
    return _CLASSIFICATION_CODE.fullmatch(text) is not None


def red_notice_valid(text: str) -> bool:
    """Tell whether ``text`` is a red notice number (红字信息表编号): 16 digits, the last a checksum."""
    if _RED_NOTICE.fullmatch(text) is None:
        return False
    return sum(map(int, text[:15])) % 10 == int(text[15])


def invoice_code_valid(text: str, *, types: Collection[InvoiceType] = _ALL_TYPES) -> bool:
    """Tell whether an invoice of one of ``types`` may have this code (发票代码); ``""`` if digital."""
    fits = any(len(text) in row.code_widths for row in types)
    return fits and _DIGITS.fullmatch(text) is not None


def invoice_number_valid(
    text: str, *, code: str, types: Collection[InvoiceType] = _ALL_TYPES
) -> bool:
    """Tell whether an invoice of one of ``types`` may have this number (发票号码) under ``code``.

    When none of them has such a code, the number of any of them will do.
    """
    return len(text) in number_widths(code, types) and _DIGITS.fullmatch(text) is not None


def number_widths(code: str, types: Collection[InvoiceType]) -> set[int]:
    """Return how many digits numbers of ``types`` have under ``code``, as in the rule above."""
    fitting = {row.number_width for row in types if len(code) in row.code_widths}
    return fitting or {row.number_width for row in types}


def machine_number_valid(text: str) -> bool:
    """Tell whether ``text`` is a device's machine number (机器编号): 12 digits."""
    return _MACHINE_NUMBER.fullmatch(text) is not None


def number_text(prefix: str, width: int, running: int) -> str:
    """Write the number of a segment: its fixed prefix, then ``running`` padded to ``width`` in all.

    Raises:
        ValueError: ``running`` does not fit, so the segment it came from is corrupt.
    """
    digits = str(running)
    if running < 0 or len(prefix) + len(digits) > width:
        raise ValueError(f"{running} does not fit {width} characters after {prefix!r}")
    return prefix + digits.zfill(width - len(prefix))


def check_request_id(text: str, *, field: str = "request_id") -> None:
    """Raise :class:`InvalidRequest` unless ``text`` is 1–120 of ``[0-9A-Za-z._:-]``."""
    if not text:
        raise InvalidRequest(field, "FIELD_REQUIRED", "every write needs an id to be retried with")
    if _REQUEST_ID.fullmatch(text) is None:
        raise InvalidRequest(field, "FIELD_FORMAT", "must be 1-120 bytes of [0-9A-Za-z._:-]")


def taxpayer_name(tax_number: str) -> str:
    """Spell a taxpayer's resource name."""
    return f"taxpayers/{tax_number}"


def invoice_name(taxpayer: str, code: str, number: str) -> str:
    """Spell an invoice's resource name; a digital invoice has an empty ``code``."""
    return f"taxpayers/{taxpayer}/invoices/{code}{'-' if code else ''}{number}"


def point_name(taxpayer: str, point: int) -> str:
    """Spell an issuing point's resource name."""
    return f"taxpayers/{taxpayer}/points/{point}"


def device_name(taxpayer: str, machine_number: str) -> str:
    """Spell a device's resource name."""
    return f"taxpayers/{taxpayer}/devices/{machine_number}"


def parse_taxpayer_name(name: str, *, field: str = "name") -> str:
    """Return the tax number in ``taxpayers/{tax_number}``."""
    return _parts(_TAXPAYER_NAME, name, field, "taxpayers/{tax_number}")[1]


def parse_invoice_name(name: str, *, field: str = "name") -> InvoiceName:
    """Return the parts of ``taxpayers/{tax_number}/invoices/{code}-{number}`` (or without a code)."""
    shape = "taxpayers/{tax_number}/invoices/{code}-{number}"
    taxpayer, code, number = _parts(_INVOICE_NAME, name, field, shape).groups("")
    if not (invoice_code_valid(code) and invoice_number_valid(number, code=code)):
        raise InvalidRequest(field, "FIELD_FORMAT", f"must read {shape}, digits as its type has")
    return InvoiceName(taxpayer, code, number)


def parse_point_name(name: str, *, field: str = "point") -> PointName:
    """Return the parts of ``taxpayers/{tax_number}/points/{n}``, n from 0 to 65535."""
    shape = "taxpayers/{tax_number}/points/{0-65535}"
    parts = _parts(_POINT_NAME, name, field, shape)
    if int(parts[2]) > POINT_MAX:
        raise InvalidRequest(field, "FIELD_FORMAT", f"must read {shape}")
    return PointName(parts[1], int(parts[2]))


def parse_device_name(name: str, *, field: str = "device") -> DeviceName:
    """Return the parts of ``taxpayers/{tax_number}/devices/{machine_number}``."""
    parts = _parts(_DEVICE_NAME, name, field, "taxpayers/{tax_number}/devices/{machine_number}")
    return DeviceName(parts[1], parts[2])


def _parts(pattern: re.Pattern[str], name: str, field: str, shape: str) -> re.Match[str]:
    if not name:
        raise InvalidRequest(field, "FIELD_REQUIRED", f"must read {shape}")
    match = pattern.fullmatch(name)
    if match is None:
        raise InvalidRequest(field, "FIELD_FORMAT", f"must read {shape}")
    return match
