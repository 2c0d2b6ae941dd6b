"""Integer arithmetic of money gives exactly what decimal arithmetic gives."""

from decimal import ROUND_HALF_UP, Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoice.errors import Violation
from invoice.money import FEN_MAX, decimal, expected_tax, half_up, yuan
from invoice.rules import violations
from invoice.rules_lines import RATES_PPM
from tests.invoice.builders import TAXPAYER, a_draft, a_line, bare

EXACT = Context(prec=120, rounding=ROUND_HALF_UP)
FEN = st.integers(-FEN_MAX, FEN_MAX)
RATE = st.sampled_from(sorted(RATES_PPM))


def oracle(amount: Decimal, deduction: Decimal, rate: Decimal, *, inclusive: bool) -> Decimal:
    """The rule in words, computed in yuan."""
    taxable = EXACT.subtract(amount, deduction)
    divisor = 1 + rate if inclusive else Decimal(1)
    # Multiplied before it is divided: the quotient of the words may have no end in decimals.
    tax = EXACT.divide(EXACT.multiply(taxable, rate), divisor)
    return tax.quantize(Decimal("0.01"), context=EXACT)


@given(amount=FEN, deduction=FEN, rate=RATE, inclusive=st.booleans())
def test_expected_tax_is_what_decimals_say(
    amount: int, deduction: int, rate: int, inclusive: bool
) -> None:
    expected = oracle(
        Decimal(amount).scaleb(-2),
        Decimal(deduction).scaleb(-2),
        Decimal(rate).scaleb(-6),
        inclusive=inclusive,
    )

    assert expected_tax(amount - deduction, rate, inclusive=inclusive) == expected.scaleb(2)


@pytest.mark.parametrize(
    ("taxable_fen", "rate_ppm", "inclusive", "tax_fen"),
    [
        (50, 10_000, False, 1),  # 0.005 rounds up
        (49, 10_000, False, 0),
        (-50, 10_000, False, -1),  # and away from zero on red
        (-49, 10_000, False, 0),
        (106, 60_000, True, 6),
        (2000, 130_000, True, 230),
        (0, 130_000, False, 0),
    ],
)
def test_half_a_fen_rounds_away_from_zero(
    taxable_fen: int, rate_ppm: int, inclusive: bool, tax_fen: int
) -> None:
    assert expected_tax(taxable_fen, rate_ppm, inclusive=inclusive) == tax_fen


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**12))
def test_half_up_is_what_decimals_say(numerator: int, denominator: int) -> None:
    exact = EXACT.divide(Decimal(numerator), Decimal(denominator)).quantize(
        Decimal(1), context=EXACT
    )

    assert half_up(numerator, denominator) == exact


@given(FEN)
def test_yuan_reads_back_as_the_same_fen(fen: int) -> None:
    assert Decimal(yuan(fen)).scaleb(2) == fen
    assert yuan(fen)[-3] == "."


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?", fullmatch=True))
def test_decimal_text_keeps_its_value_and_its_places(text: str) -> None:
    units, places = decimal(text) or (0, -1)

    assert Decimal(units).scaleb(-places, context=EXACT) == Decimal(text)


@given(st.text(alphabet="0123456789.-+eE ,_１٣", max_size=20))
def test_decimal_takes_only_what_decimals_take_too(text: str) -> None:
    read = decimal(text)

    if read is not None:
        assert Decimal(read[0]).scaleb(-read[1]) == Decimal(text)


@st.composite
def factors(draw: st.DrawFn) -> tuple[str, str, int]:
    places = st.integers(0, 15)
    quantity = Decimal(draw(st.integers(1, 10**9))).scaleb(-draw(places))
    price = Decimal(draw(st.integers(1, 10**9))).scaleb(-draw(places))
    product = EXACT.multiply(quantity, price)
    near = int(EXACT.multiply(product, Decimal(100)))
    return f"{quantity:f}", f"{price:f}", max(1, near + draw(st.integers(-3, 3)))


@given(factors())
def test_an_amount_is_refused_exactly_when_it_is_more_than_a_fen_off(
    case: tuple[str, str, int],
) -> None:
    quantity, price, amount_fen = case
    line = a_line(quantity=quantity, unit_price=price, amount_fen=amount_fen)

    named = violations(a_draft(line), TAXPAYER)

    product = EXACT.multiply(Decimal(quantity), Decimal(price))
    off = abs(EXACT.subtract(Decimal(amount_fen).scaleb(-2), product)) > Decimal("0.01")
    assert any(violation.rule == "AMOUNT_MISMATCH" for violation in named) == off


@given(amount=st.integers(1, 10**6), error=st.integers(-200, 200), inclusive=st.booleans())
def test_a_tax_is_refused_exactly_from_six_fen_on(amount: int, error: int, inclusive: bool) -> None:
    right = expected_tax(amount, 130_000, inclusive=inclusive)
    line = bare(amount_fen=amount, tax_inclusive=inclusive, tax_fen=right + error)

    named: tuple[Violation, ...] = violations(a_draft(line), TAXPAYER)

    mismatches = {one.field for one in named if one.rule == "TAX_MISMATCH"}
    assert ("lines[0].tax_fen" in mismatches) == (abs(error) >= 6)
    assert ("tax_fen" in mismatches) == (abs(error) > 127)
