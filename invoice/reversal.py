"""The full red (全额红冲) of a blue invoice, mirrored from the blue's signed content.

A red has no discount lines, so a discounted line and its discount become one. Whatever rounding
the blue was forgiven is mirrored with it: the totals are exactly the negated ones of the blue.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from invoice import content
from invoice.document import Draft, Kind, Line, Nature, Original
from invoice.money import decimal, half_up
from invoice.rules_lines import mismatch
from invoice.rules_money import differential_mark
from invoice.types import TYPES, UNKNOWN

_PRICE_PLACES: Final = 15


def full_red(
    members: Mapping[str, Any],
    *,
    type: str,
    clerk: str,
    red_reason: str,
    red_notice_number: str,
    original: Original,
) -> Draft:
    """Return the draft that reverses a blue in full; ``rules.red_violations`` judges it.

    ``members`` is the blue's content as ``content.read`` parsed it. An empty ``type`` or ``clerk``
    means the blue's. The blue's remark, payee and reviewer stay with the blue; a differential
    (差额) red has the remark that it must begin with.

    Where a discount takes all of its line, the line vanishes; where it takes more, or the merged
    tax has the wrong sign, the largest line taxed alike bears the rest. If none can, a line stays
    that the rules refuse by name.

    Raises:
        ValueError: ``members`` is no content, or not that of a blue invoice.
    """
    blue = content.document(members)
    if blue.kind is not Kind.BLUE:
        raise ValueError("only a blue invoice is reversed")
    lines = tuple(_negated(line) for line in _without_odd(_merged(blue.lines)))
    listed = TYPES.get(type or blue.type, UNKNOWN).listed_count_max
    return Draft(
        kind=Kind.RED,
        type=type or blue.type,
        seller=blue.seller,
        buyer=blue.buyer,
        lines=lines,
        net_fen=-blue.net_fen,
        tax_fen=-blue.tax_fen,
        gross_fen=-blue.gross_fen,
        clerk=clerk or blue.clerk,
        remark=differential_mark(lines),
        original=original,
        red_notice_number=red_notice_number,
        red_reason=red_reason,
        list_attached=listed is not None and len(lines) > listed,
        code_table_version=blue.code_table_version,
        donation_project=blue.donation_project,
    )


def _merged(lines: Iterable[Line]) -> list[Line]:
    """Return plain lines: each discount (折扣行) taken into the line before it."""
    merged: list[Line] = []
    for line in lines:
        if line.nature is Nature.DISCOUNT and merged:
            merged[-1] = _joined(merged[-1], line)
        else:
            merged.append(replace(line, nature=Nature.PLAIN))
    return merged


def _without_odd(lines: Iterable[Line]) -> list[Line]:
    """Move what no red line may state, zero or of the wrong sign, into lines taxed alike."""
    merged = list(lines)
    kept = [line for line in merged if _statable(line)]
    for rest in _summed(line for line in merged if not _statable(line)):
        bearers = [place for place, line in enumerate(kept) if _taxed(line) == _taxed(rest)]
        place = max(bearers, key=lambda place: kept[place].amount_fen, default=None)
        if place is not None and _statable(borne := _joined(kept[place], rest)):
            kept[place] = borne
        elif rest.amount_fen or rest.tax_fen:
            kept.append(rest)
    return kept


def _summed(lines: Iterable[Line]) -> list[Line]:
    """Return one line for all that are taxed alike."""
    sums: dict[tuple[Any, ...], Line] = {}
    for line in lines:
        sums[_taxed(line)] = _joined(sums[_taxed(line)], line) if _taxed(line) in sums else line
    return list(sums.values())


def _taxed(line: Line) -> tuple[Any, ...]:
    return line.rate_ppm, line.zero_rate_flag, line.tax_inclusive


def _statable(line: Line) -> bool:
    return line.amount_fen > 0 and line.tax_fen >= 0


def _joined(line: Line, other: Line) -> Line:
    """Return ``line`` with the money of ``other`` added, its quantity kept, its price made to fit."""
    amount_fen = line.amount_fen + other.amount_fen
    price = _price(amount_fen, line.quantity)
    return replace(
        line,
        amount_fen=amount_fen,
        tax_fen=line.tax_fen + other.tax_fen,
        quantity=line.quantity if price else "",
        unit_price=price,
    )


def _price(amount_fen: int, quantity: str) -> str:
    """Return amount ÷ quantity in yuan; ``""`` when no price of 15 decimals is near enough."""
    factor = decimal(quantity)
    if factor is None or amount_fen <= 0:
        return ""
    units = half_up(amount_fen * 10 ** (_PRICE_PLACES + factor[1]), 100 * factor[0])
    whole, fraction = divmod(units, 10**_PRICE_PLACES)
    text = f"{whole}.{fraction:0{_PRICE_PLACES}}".rstrip("0").removesuffix(".")
    price = decimal(text)
    fits = price is not None and units > 0 and not mismatch(amount_fen, factor, price)
    return text if fits else ""


def _negated(line: Line) -> Line:
    deduction = line.deduction_fen
    return replace(
        line,
        quantity=f"-{line.quantity}" if line.quantity else "",
        amount_fen=-line.amount_fen,
        tax_fen=-line.tax_fen,
        deduction_fen=None if deduction is None else -deduction,
    )
