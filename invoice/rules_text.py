"""Rules about text: what must be filled, how long it may be, in which characters. And whose it is.

Sizes are GBK bytes, since that is how the authority stores and prints. A
character outside GBK can be neither, so it is a FIELD_FORMAT.
"""

import re
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Final, TypeAlias

from invoice.case import Case, at
from invoice.document import Draft, Line
from invoice.errors import Violation
from invoice.identifiers import buyer_tax_number_valid, classification_code_valid
from invoice.types import TYPES, UNKNOWN, InvoiceType, Need

# Looked up once: in 3.11 a member looked up on its enum costs as much as the rest of the loop.
_REQUIRED, _NONE = Need.REQUIRED, Need.NONE

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


# Path, size in GBK bytes at most, need. Plain tuples, since only those unpack at full speed.
_Field: TypeAlias = tuple[str, int, Need]


def _header_fields(type_: InvoiceType) -> tuple[_Field, ...]:
    must, may = Need.REQUIRED, Need.OPTIONAL
    return (
        ("type", 3, must),
        ("seller.tax_number", 20, must),
        ("seller.name", 100, must),
        ("seller.address_phone", 100, must),
        ("seller.bank_account", 100, may),
        ("buyer.tax_number", 20, type_.buyer_tax_number),
        ("buyer.name", 100, must),
        ("buyer.address_phone", 100, type_.buyer_contact),
        ("buyer.bank_account", 100, type_.buyer_contact),
        ("clerk", 20, must),
        ("payee", 20, may),
        ("reviewer", 20, may),
        ("remark", type_.remark_bytes_max, may),
        ("red_notice_number", 16, may),
        ("red_reason", 200, may),
        ("code_table_version", 20, may if type_.vat else Need.NONE),
        ("donation_project", 100, type_.donation_project),
    )


def _line_fields(type_: InvoiceType) -> tuple[_Field, ...]:
    must, may = Need.REQUIRED, Need.OPTIONAL
    return (
        ("name", 90, must),
        ("unit", 20, may),
        ("specification", 40, may),
        ("classification_code", 19, must if type_.vat else Need.NONE),
        ("own_code", 20, may if type_.vat else Need.NONE),
        ("preferential_policy", 50, may if type_.vat else Need.NONE),
    )


_HEADER_FIELDS: Final = {type_.code: _header_fields(type_) for type_ in (*TYPES.values(), UNKNOWN)}
_LINE_FIELDS: Final = {type_.code: _line_fields(type_) for type_ in (*TYPES.values(), UNKNOWN)}
_header_texts: Final = attrgetter(*(path for path, _, _ in _header_fields(UNKNOWN)))
_line_texts: Final = attrgetter(*(path for path, _, _ in _line_fields(UNKNOWN)))
_SELLER_FIELDS: Final = ("tax_number", "name", "address_phone", "bank_account")


def presence_and_size(case: Case) -> Iterator[Violation]:
    """FIELD_REQUIRED, FIELD_NOT_ALLOWED, FIELD_TOO_LONG: the header, then line by line."""
    yield from _judge(_header_texts(case.draft), _HEADER_FIELDS[case.type.code], "")
    fields = _LINE_FIELDS[case.type.code]
    for index, line in enumerate(case.lines):
        yield from _judge(_line_texts(line), fields, at(index, ""))


def characters(case: Case) -> Iterator[Violation]:
    """FIELD_FORMAT for every text that holds a control character or one that GBK lacks."""
    # Nearly every request is clean, and one look at all its text costs less than one per field.
    draft = case.draft
    whole = "".join(_header_texts(draft))
    if printable(whole + "".join(["".join(_line_texts(line)) for line in case.lines])):
        return
    for path, text in _named_texts(draft, case.lines):
        if not printable(text):
            message = "holds a control character or a character outside GBK"
            yield Violation(path, "FIELD_FORMAT", message)


def seller(case: Case) -> Iterator[Violation]:
    """SELLER_MISMATCH: the seller's fields must equal the registration.

    A bank account left out is not a wrong one: the interface has it optional.
    Other empty fields are FIELD_REQUIRED already.
    """
    stated, registered = case.draft.seller, case.taxpayer
    for name in _SELLER_FIELDS:
        text = getattr(stated, name)
        if text and text != getattr(registered, name):
            message = "differs from the taxpayer's registration"
            yield Violation(f"seller.{name}", "SELLER_MISMATCH", message)


def numbers(case: Case) -> Iterator[Violation]:
    """TAX_NUMBER_INVALID of the buyer, CLASSIFICATION_CODE of the lines."""
    tax_number = case.draft.buyer.tax_number
    if tax_number and not buyer_tax_number_valid(tax_number):
        message = "must have 15, 17, 18 (with its check digit) or 20 characters of 0-9 and A-Z"
        yield Violation("buyer.tax_number", "TAX_NUMBER_INVALID", message)
    for index, line in enumerate(case.lines):
        code = line.classification_code
        if code and not classification_code_valid(code):
            path = at(index, "classification_code")
            yield Violation(path, "CLASSIFICATION_CODE", "must have 19 digits, padded with 0")


def _judge(texts: Iterable[str], fields: Iterable[_Field], prefix: str) -> Iterator[Violation]:
    for text, (path, bytes_max, need) in zip(texts, fields, strict=True):
        if not text:
            if need is _REQUIRED:
                yield Violation(prefix + path, "FIELD_REQUIRED", "must be filled")
        elif need is _NONE:
            yield Violation(prefix + path, "FIELD_NOT_ALLOWED", "must be empty on this type")
        # A GBK character has two bytes at most, so most texts need no measuring.
        elif len(text) * 2 > bytes_max and (size := gbk_bytes(text)) > bytes_max:
            message = f"{size} GBK bytes, at most {bytes_max}"
            yield Violation(prefix + path, "FIELD_TOO_LONG", message)


def _named_texts(draft: Draft, lines: tuple[Line, ...]) -> Iterator[tuple[str, str]]:
    for (path, _, _), text in zip(_header_fields(UNKNOWN), _header_texts(draft), strict=True):
        yield path, text
    for index, line in enumerate(lines):
        for (path, _, _), text in zip(_line_fields(UNKNOWN), _line_texts(line), strict=True):
            yield at(index, path), text


def printable(text: str) -> bool:
    """Tell whether the authority can store and print every character of ``text``."""
    if not text.isprintable() and _CONTROL.search(text) is not None:
        return False
    try:
        text.encode("gbk")
    except UnicodeEncodeError:
        return False
    return True


def gbk_bytes(text: str) -> int:
    """Return the size of ``text`` as the authority stores it."""
    return len(text) if text.isascii() else len(text.encode("gbk", "replace"))
