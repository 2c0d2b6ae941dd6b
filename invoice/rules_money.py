"""Rules about money: signs, tax, totals, differential invoices (差额), remarks, the limit."""

import re
from collections.abc import Iterator
from typing import Final

from invoice.case import Case, at
from invoice.document import Line, Nature
from invoice.errors import Violation
from invoice.money import FEN_MAX, expected_tax, yuan
from invoice.rules_lines import RATES_PPM

# What rounding in the caller's system may explain.
_LINE_ERROR_FEN: Final = 6
_SUM_ERROR_FEN: Final = 127

_DISCOUNT: Final = Nature.DISCOUNT  # looked up once: an enum look-up is slow in 3.11
_DIFFERENTIAL: Final = "差额征税："
# Texts the system itself writes into a remark.
_RESERVED: Final = re.compile(f"对应正数发票代码:|{_DIFFERENTIAL}|发票信息表编号")


def magnitudes(case: Case) -> Iterator[Violation]:
    """FIELD_FORMAT for money beyond ±10^15 fen, which no sum or column could hold."""
    for path, fen in _header_money(case):
        if not -FEN_MAX <= fen <= FEN_MAX:
            yield Violation(path, "FIELD_FORMAT", "beyond ten trillion yuan")
    for index, line in enumerate(case.lines):
        for name, fen in (
            ("amount_fen", line.amount_fen),
            ("tax_fen", line.tax_fen),
            ("deduction_fen", line.deduction_fen or 0),
        ):
            if not -FEN_MAX <= fen <= FEN_MAX:
                yield Violation(at(index, name), "FIELD_FORMAT", "beyond ten trillion yuan")


def signs(case: Case) -> Iterator[Violation]:
    """RED_SIGN and BLUE_SIGN: red money is not above zero, blue money not below (§5.8).

    A blue's discounts are judged with the discounts. Zero amounts are AMOUNT_ZERO.
    """
    factor, rule = (-1, "RED_SIGN") if case.red else (1, "BLUE_SIGN")
    message = "must be below zero on red" if case.red else "must not be below zero on blue"
    for index, line in enumerate(case.lines):
        if line.nature is _DISCOUNT and not case.red:
            continue
        if line.amount_fen * factor < 0:
            yield Violation(at(index, "amount_fen"), rule, message)
        if line.tax_fen * factor < 0:
            yield Violation(at(index, "tax_fen"), rule, message)
    for path, fen in _header_money(case):
        if fen * factor < 0:
            yield Violation(path, rule, message)


def taxes(case: Case) -> Iterator[Violation]:
    """TAX_MISMATCH of a line off by 0.06 or more, and of the signed sum off by more than 1.27."""
    error_sum = 0
    for index, line in enumerate(case.lines):
        if line.rate_ppm not in RATES_PPM:
            continue  # no tax is right at a rate that does not exist
        taxable = line.amount_fen - (line.deduction_fen or 0)
        expected = expected_tax(taxable, line.rate_ppm, inclusive=line.tax_inclusive)
        error = line.tax_fen - expected
        error_sum += error
        if abs(error) >= _LINE_ERROR_FEN:
            message = f"{yuan(line.tax_fen)} stated, {yuan(expected)} expected"
            yield Violation(at(index, "tax_fen"), "TAX_MISMATCH", message)
    if abs(error_sum) > _SUM_ERROR_FEN:
        message = f"the lines' tax is off by {yuan(error_sum)} in all, at most 1.27"
        yield Violation("tax_fen", "TAX_MISMATCH", message)


def totals(case: Case) -> Iterator[Violation]:
    """TOTAL_MISMATCH: the header is the exact sum of the lines, and gross is net + tax."""
    draft = case.draft
    net = sum([_net(line) for line in draft.lines])
    tax = sum([line.tax_fen for line in draft.lines])
    for path, stated, right in (
        ("net_fen", draft.net_fen, net),
        ("tax_fen", draft.tax_fen, tax),
        ("gross_fen", draft.gross_fen, draft.net_fen + draft.tax_fen),
    ):
        if stated != right:
            message = f"{yuan(stated)} stated, the sum is {yuan(right)}"
            yield Violation(path, "TOTAL_MISMATCH", message)


def deductions(case: Case) -> Iterator[Violation]:
    """DEDUCTION_INVALID: one line, prices without tax, within the amount, and said so (§5.6)."""
    for index, line in enumerate(case.lines):
        if line.deduction_fen is None:
            continue
        low, high = sorted((0, line.amount_fen))
        if not low <= line.deduction_fen <= high:
            message = "must lie between zero and the amount"
            yield Violation(at(index, "deduction_fen"), "DEDUCTION_INVALID", message)
        if line.tax_inclusive:
            message = "a differential invoice states prices without tax"
            yield Violation(at(index, "tax_inclusive"), "DEDUCTION_INVALID", message)
    prefix = differential_mark(case.lines)
    if prefix and len(case.draft.lines) != 1:
        yield Violation("lines", "DEDUCTION_INVALID", "a differential invoice has one line")
    if not case.draft.remark.startswith(prefix):
        yield Violation("remark", "DEDUCTION_INVALID", f"must begin with {prefix}")


def remark(case: Case) -> Iterator[Violation]:
    """REMARK_FORBIDDEN: blank edges, or a text that the system itself writes (§5.7).

    The one remark that may begin ``差额征税：x.xx。`` is the differential one, x.xx its deduction
    (below zero on red, as the line has it).
    """
    text = case.draft.remark
    if not text:
        return
    if text != text.strip():
        yield Violation("remark", "REMARK_FORBIDDEN", "must not begin or end with a blank")
    if found := _RESERVED.search(text.removeprefix(differential_mark(case.lines))):
        message = f"must not hold {found[0]}, which the system writes"
        yield Violation("remark", "REMARK_FORBIDDEN", message)


def limit(case: Case) -> Iterator[Violation]:
    """INVOICE_LIMIT_EXCEEDED: |net| against the per-invoice limit (单张限额, §5.9)."""
    if case.grant is not None and abs(case.draft.net_fen) > case.grant.invoice_limit_fen:
        message = f"over the limit of {yuan(case.grant.invoice_limit_fen)} for one invoice"
        yield Violation("net_fen", "INVOICE_LIMIT_EXCEEDED", message)


def _header_money(case: Case) -> tuple[tuple[str, int], ...]:
    draft = case.draft
    return (
        ("net_fen", draft.net_fen),
        ("tax_fen", draft.tax_fen),
        ("gross_fen", draft.gross_fen),
    )


def _net(line: Line) -> int:
    return line.amount_fen - line.tax_fen if line.tax_inclusive else line.amount_fen


def differential_mark(lines: tuple[Line, ...]) -> str:
    """Return how the remark must begin, ``""`` when no line has a deduction (§5.6)."""
    for line in lines:
        if line.deduction_fen is not None:
            return f"{_DIFFERENTIAL}{yuan(line.deduction_fen)}。"
    return ""
