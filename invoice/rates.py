"""What an invoice adds up to at each rate (税率): what the month's statistics are made of.

A line counts by the rate it states, whatever its nature, with the net amount that the header's is the
sum of. A type without tax states rate 0.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from invoice.document import Line


class RateSum(NamedTuple):
    """The lines of one rate, added up."""

    rate_ppm: int
    net_fen: int
    tax_fen: int


def of_lines(lines: Iterable[Line]) -> tuple[RateSum, ...]:
    """Return the sums of a draft's lines, by rate ascending."""
    return _sums(
        (line.rate_ppm, line.amount_fen, line.tax_fen, line.tax_inclusive) for line in lines
    )


def of_content(members: Mapping[str, Any]) -> tuple[RateSum, ...]:
    """Return the sums of the lines of a parsed content; KeyError or TypeError when it has none."""
    return _sums(
        (line["rate_ppm"], line["amount_fen"], line["tax_fen"], line.get("tax_inclusive", False))
        for line in members["lines"]
    )


def _sums(lines: Iterable[tuple[int, int, int, bool]]) -> tuple[RateSum, ...]:
    sums: dict[int, tuple[int, int]] = {}
    for rate_ppm, amount_fen, tax_fen, inclusive in lines:
        net_fen, tax_sum_fen = sums.get(rate_ppm, (0, 0))
        net_fen += amount_fen - tax_fen if inclusive else amount_fen
        sums[rate_ppm] = net_fen, tax_sum_fen + tax_fen
    return tuple(RateSum(rate_ppm, *sums[rate_ppm]) for rate_ppm in sorted(sums))
