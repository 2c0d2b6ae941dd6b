"""Rules about red invoices (红字) that need no look at the stored original.

Whether the original exists, is of a type that fits, and has enough left is decided where the
ledger is, inside the reserving transaction.
"""

from collections.abc import Collection, Iterator

from invoice.case import Case
from invoice.errors import Violation
from invoice.identifiers import (
    invoice_code_valid,
    invoice_number_valid,
    number_widths,
    red_notice_valid,
)
from invoice.types import TYPES, InvoiceType, Need


def references(case: Case) -> Iterator[Violation]:
    """What a red invoice must name, and a blue one must not."""
    if case.red:
        yield from _original(case)
        yield from _notice(case)
        yield from _reason(case)
    else:
        yield from _nothing_red(case)


def _original(case: Case) -> Iterator[Violation]:
    original = case.draft.original
    if original is None or not original.number:
        message = "a red invoice names the blue one it reverses"
        yield Violation("original", "RED_ORIGINAL_REQUIRED", message)
        return
    blues = _blues(case.type)
    if not invoice_code_valid(original.code, types=blues):
        widths = {width for row in blues for width in row.code_widths}
        yield Violation("original.code", "FIELD_FORMAT", f"must {_digits(widths)}")
    if not invoice_number_valid(original.number, code=original.code, types=blues):
        widths = number_widths(original.code, blues)
        yield Violation("original.number", "FIELD_FORMAT", f"must {_digits(widths)}")


def _blues(red: InvoiceType) -> tuple[InvoiceType, ...]:
    """Return the types a red one may name; any, where the table knows none."""
    return tuple(TYPES[code] for code in red.reverses) or tuple(TYPES.values())


def _digits(widths: Collection[int]) -> str:
    filled = " or ".join(str(width) for width in sorted(widths) if width)
    if not filled:
        return "be empty"
    return f"have {filled} digits{', or none' if 0 in widths else ''}"


def _notice(case: Case) -> Iterator[Violation]:
    notice = case.draft.red_notice_number
    if notice and case.type.red_notice is Need.NONE:
        message = "must be empty on this type"
        yield Violation("red_notice_number", "FIELD_NOT_ALLOWED", message)
        return
    if case.type.red_notice is Need.REQUIRED and not notice:
        message = "a red special invoice names its red notice"
        yield Violation("red_notice_number", "RED_NOTICE_REQUIRED", message)
    if notice and not red_notice_valid(notice):
        message = "must have 16 digits, the last the sum of the others modulo 10"
        yield Violation("red_notice_number", "FIELD_FORMAT", message)


def _reason(case: Case) -> Iterator[Violation]:
    if case.type.red_reason is Need.REQUIRED and not case.draft.red_reason.strip():
        message = "an electronic general invoice is reversed with a reason"
        yield Violation("red_reason", "FIELD_REQUIRED", message)


def _nothing_red(case: Case) -> Iterator[Violation]:
    draft = case.draft
    for path, filled in (
        ("original", draft.original is not None),
        ("red_notice_number", bool(draft.red_notice_number)),
        ("red_reason", bool(draft.red_reason)),
    ):
        if filled:
            yield Violation(path, "FIELD_NOT_ALLOWED", "must be empty on a blue invoice")
