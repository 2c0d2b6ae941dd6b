"""Exact arithmetic of money, rates and quantities. Integers only: nothing is ever a float.

Money is fen (1/100 yuan), rates are parts per million, quantities and prices are decimal text
as the caller wrote it.
"""

import re
from typing import Final

# Ten trillion yuan. Far above any tier of the per-invoice limit, and 2,000 such lines still sum
# to less than 2**63, so no stored or transmitted number can overflow.
FEN_MAX: Final = 10**15

PPM: Final = 1_000_000

# No exponent, no plus sign, no leading zeros, no bare point: one spelling per number.
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?")


def decimal(text: str) -> tuple[int, int] | None:
    """Read decimal text as (units, places): ``"2.50"`` is (250, 2). None when it is malformed.

    At most 15 digits before and 15 after the point, which is what devices keep.
    """
    if _DECIMAL.fullmatch(text) is None:
        return None
    whole, _, fraction = text.partition(".")
    return int(whole + fraction), len(fraction)


def half_up(numerator: int, denominator: int) -> int:
    """Divide and round half away from zero (四舍五入). ``denominator`` is positive."""
    if numerator < 0:
        return -((-2 * numerator + denominator) // (2 * denominator))
    return (2 * numerator + denominator) // (2 * denominator)


def expected_tax(taxable_fen: int, rate_ppm: int, *, inclusive: bool) -> int:
    """Return the tax in fen on an amount from which any deduction is already taken.

    Exclusive: taxable × rate. Inclusive (含税): taxable ÷ (1 + rate) × rate.
    """
    return half_up(taxable_fen * rate_ppm, PPM + rate_ppm if inclusive else PPM)


def yuan(fen: int) -> str:
    """Write fen as yuan with two decimals: -5 is ``"-0.05"``."""
    whole, cents = divmod(abs(fen), 100)
    return f"{'-' if fen < 0 else ''}{whole}.{cents:02}"
