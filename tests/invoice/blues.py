"""Blue invoices that pass every rule, of every type, drawn by Hypothesis."""

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from hypothesis import strategies as st

from invoice.document import Draft, Line, Nature, Party, Taxpayer, ZeroRateFlag
from invoice.money import FEN_MAX, expected_tax
from invoice.types import TYPES, InvoiceType, Need
from tests.invoice.builders import (
    BUYER,
    FOUNDATION,
    RATES,
    TAXPAYER,
    a_donation,
    a_draft,
    a_gift,
    a_line,
)

EXACT = Context(prec=120, rounding=ROUND_HALF_UP)
WEALTHY = replace(
    TAXPAYER,
    grants={
        code: replace(grant, invoice_limit_fen=FEN_MAX) for code, grant in TAXPAYER.grants.items()
    },
)
_FLAGS: tuple[dict[str, Any], ...] = (
    {"zero_rate_flag": ZeroRateFlag.PLAIN_ZERO},
    {"zero_rate_flag": ZeroRateFlag.EXPORT},
    {"zero_rate_flag": ZeroRateFlag.EXEMPT, "preferential": True, "preferential_policy": "免税"},
)


@dataclass(frozen=True, slots=True)
class Blue:
    """A blue, its seller, and a type its red may have."""

    draft: Draft
    taxpayer: Taxpayer
    red_type: str


@st.composite
def blues(draw: st.DrawFn, *, over_discounted: bool = False) -> Blue:
    """Draw a blue. ``over_discounted``: discounts may take all of their line and more."""
    row = draw(st.sampled_from([row for row in TYPES.values() if _reversing(row)]))
    red_type = draw(st.sampled_from(_reversing(row)))
    if not row.vat:
        lines = draw(st.lists(st.builds(_gift, factors()), min_size=1, max_size=4))
        return Blue(a_donation(*lines, type=row.code), FOUNDATION, red_type)
    items = draw(st.lists(_item(special=row.special, over=over_discounted), min_size=1, max_size=6))
    lines = [line for item in items for line in item]
    listed = row.listed_count_max
    draft = a_draft(
        *lines,
        type=row.code,
        buyer=BUYER if row.buyer_contact is not Need.NONE else Party(name="张三"),
        remark=draw(st.sampled_from(["", "请尽快寄出"])),
        list_attached=listed is not None and len(lines) > listed,
    )
    return Blue(draft, WEALTHY, red_type)


@st.composite
def factors(draw: st.DrawFn) -> dict[str, Any]:
    """Draw an amount, with a quantity and a price it fits to a fen or with neither."""
    if draw(st.booleans()):
        return {"quantity": "", "unit_price": "", "amount_fen": draw(st.integers(1, 10**9))}
    places = st.integers(0, 6)
    quantity = Decimal(draw(st.integers(1, 10**6))).scaleb(-draw(places))
    price = Decimal(draw(st.integers(1, 10**6))).scaleb(-draw(places))
    product = EXACT.multiply(EXACT.multiply(quantity, price), Decimal(100))
    near = int(product.quantize(Decimal(1), context=EXACT))
    return {
        "quantity": f"{quantity:f}",
        "unit_price": f"{price:f}",
        "amount_fen": max(1, near),
    }


@st.composite
def _item(draw: st.DrawFn, *, special: bool, over: bool) -> tuple[Line, ...]:
    """Draw a plain line, or a discounted one with its discount."""
    # 1.5 % stands alone on its invoice, which has a row among the rules.
    rates = sorted(RATES - {15_000} - ({0} if special else set()))
    rate_ppm = draw(st.sampled_from(rates))
    flags: dict[str, Any] = draw(st.sampled_from(_FLAGS)) if rate_ppm == 0 else {}
    common = {"rate_ppm": rate_ppm, "tax_inclusive": draw(st.booleans()), **flags}
    line = _rounded(a_line(**draw(factors()), **common), draw(_ERRORS))
    most = line.amount_fen * 2 if over else line.amount_fen - 1
    if most < 1 or draw(st.booleans()):
        return (line,)
    without = {"quantity": "", "unit_price": "", "unit": "", "specification": ""}
    amount_fen = draw(st.integers(1, most))
    discount = replace(
        _rounded(a_line(amount_fen=amount_fen, **without, **common), draw(_ERRORS)),
        nature=Nature.DISCOUNT,
    )
    taken = min(discount.tax_fen, line.tax_fen) if not over else discount.tax_fen
    discount = replace(discount, amount_fen=-amount_fen, tax_fen=-taken)
    return replace(line, nature=Nature.DISCOUNTED), discount


_ERRORS = st.integers(-5, 5)


def _rounded(line: Line, error: int) -> Line:
    """Return ``line`` with its tax off by ``error`` fen, not below zero."""
    expected = expected_tax(line.amount_fen, line.rate_ppm, inclusive=line.tax_inclusive)
    return replace(line, tax_fen=max(0, expected + error))


def _gift(made: dict[str, Any]) -> Line:
    return a_gift(**made)


def _reversing(row: InvoiceType) -> list[str]:
    return sorted(code for code, red in TYPES.items() if row.code in red.reverses)
