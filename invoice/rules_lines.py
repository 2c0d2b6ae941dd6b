"""Rules about single lines: their count, discounts, quantities, rates and zero-rate flags."""

from collections.abc import Iterator
from typing import Final

from invoice.case import Case, at
from invoice.document import Line, Nature, ZeroRateFlag
from invoice.errors import Violation
from invoice.money import decimal

# The rates the law has had, in parts per million.
RATES_PPM: Final = frozenset(
    {0, 10_000, 15_000, 30_000, 40_000, 50_000, 60_000, 90_000}
    | {100_000, 110_000, 130_000, 160_000, 170_000}
)
# The reduced rate on letting of homes by natural persons; it has a form of its own.
_ALONE_PPM: Final = 15_000

_POWERS: Final[tuple[int, ...]] = tuple(
    10**places for places in range(31)
)  # 15 + 15 decimals at most
# Looked up once: in 3.11 a member looked up on its enum costs as much as a whole rule.
_PLAIN, _DISCOUNT, _DISCOUNTED = Nature.PLAIN, Nature.DISCOUNT, Nature.DISCOUNTED
_EMPTY: Final = ZeroRateFlag.EMPTY
_CLAIMING: Final = (ZeroRateFlag.EXEMPT, ZeroRateFlag.NOT_TAXABLE)
_DISCOUNT_EMPTY: Final = ("quantity", "unit_price", "unit", "specification")


def count(case: Case) -> Iterator[Violation]:
    """LINE_COUNT, and LIST_REQUIRED where paper shows only so many lines."""
    lines, type_ = len(case.draft.lines), case.type
    if not 1 <= lines <= type_.line_count_max:
        message = f"{lines} lines, must be 1 to {type_.line_count_max}"
        yield Violation("lines", "LINE_COUNT", message)
    listed = type_.listed_count_max
    if listed is not None and lines > listed and not case.draft.list_attached:
        message = f"more than {listed} lines on paper need a separate list"
        yield Violation("list_attached", "LIST_REQUIRED", message)


def discounts(case: Case) -> Iterator[Violation]:
    """DISCOUNT_PLACEMENT, DISCOUNT_FIELDS; on red RED_DISCOUNT_LINE instead of both (§5.1)."""
    before: Line | None = None
    for index, line in enumerate(case.lines):
        if line.nature is not _PLAIN and case.red:
            message = "a red invoice nets its discounts, it has no discount lines"
            yield Violation(at(index, "nature"), "RED_DISCOUNT_LINE", message)
        elif line.nature is _DISCOUNTED:
            after = case.lines[index + 1] if index + 1 < len(case.lines) else None
            if after is None or after.nature is not _DISCOUNT:
                message = "a discounted line is followed at once by its discount"
                yield Violation(at(index, "nature"), "DISCOUNT_PLACEMENT", message)
        elif line.nature is _DISCOUNT:
            yield from _discount(line, before, index)
        before = line


def _discount(line: Line, before: Line | None, index: int) -> Iterator[Violation]:
    discounted = before if before is not None and before.nature is _DISCOUNTED else None
    if discounted is None:
        message = "a discount follows the line it discounts"
        yield Violation(at(index, "nature"), "DISCOUNT_PLACEMENT", message)
    for name in _DISCOUNT_EMPTY:
        if getattr(line, name):
            yield Violation(at(index, name), "DISCOUNT_FIELDS", "must be empty on a discount")
    if line.amount_fen > 0:
        message = "must be below zero on a discount"
        yield Violation(at(index, "amount_fen"), "DISCOUNT_FIELDS", message)
    if line.tax_fen > 0:
        message = "must not be above zero on a discount"
        yield Violation(at(index, "tax_fen"), "DISCOUNT_FIELDS", message)
    if discounted is not None and line.rate_ppm != discounted.rate_ppm:
        message = "must be the rate of the discounted line"
        yield Violation(at(index, "rate_ppm"), "DISCOUNT_FIELDS", message)


def quantities(case: Case) -> Iterator[Violation]:
    """FIELD_FORMAT, RED_SIGN, PRICE_QUANTITY_PAIR, AMOUNT_MISMATCH, AMOUNT_ZERO (§5.2, §5.8).

    Only VAT needs an amount to be quantity × price: a gift in kind is valued as a whole.
    """
    red, product = case.red, case.type.vat
    for index, line in enumerate(case.lines):
        if line.amount_fen == 0:
            yield Violation(at(index, "amount_fen"), "AMOUNT_ZERO", "must not be zero")
        if line.quantity or line.unit_price:
            yield from _factors(line, index, red=red, product=product)


def _factors(line: Line, index: int, *, red: bool, product: bool) -> Iterator[Violation]:
    quantity, price = decimal(line.quantity), decimal(line.unit_price)
    if line.quantity and (rule := _factor_rule(quantity, negative=red, red=red)):
        message = "must be decimal text below zero" if red else "must be decimal text above zero"
        yield Violation(at(index, "quantity"), rule, message)
    if line.unit_price and (rule := _factor_rule(price, negative=False, red=red)):
        yield Violation(at(index, "unit_price"), rule, "must be decimal text above zero")
    if line.nature is _DISCOUNT and not red:
        return  # it may have neither, and DISCOUNT_FIELDS says so
    if not line.quantity or not line.unit_price:
        name = "unit_price" if line.quantity else "quantity"
        message = "quantity and unit price are stated both or neither"
        yield Violation(at(index, name), "PRICE_QUANTITY_PAIR", message)
    elif product and quantity and price and mismatch(line.amount_fen, quantity, price):
        message = "differs from quantity × unit price by more than 0.01"
        yield Violation(at(index, "amount_fen"), "AMOUNT_MISMATCH", message)


def _factor_rule(value: tuple[int, int] | None, *, negative: bool, red: bool) -> str:
    """Name the rule that a quantity or price breaks, ``""`` when none."""
    if value is None:
        return "FIELD_FORMAT"
    if value[0] == 0 or (value[0] < 0) is not negative:
        return "RED_SIGN" if red else "FIELD_FORMAT"
    return ""


def mismatch(amount_fen: int, quantity: tuple[int, int], price: tuple[int, int]) -> bool:
    """Tell whether an amount is off by more than 0.01; the factors as ``money.decimal`` has them."""
    # In units of 10^-places fen, so that nothing is rounded before it is judged.
    unit = _POWERS[quantity[1] + price[1]]
    return abs(amount_fen * unit - quantity[0] * price[0] * 100) > unit


def rates(case: Case) -> Iterator[Violation]:
    """RATE_NOT_AUTHORISED, SPECIAL_ZERO_RATE, RATE_MIXED (§5.4, §5.5)."""
    granted = RATES_PPM if case.grant is None else case.grant.rates_ppm
    mixed = len({line.rate_ppm for line in case.lines}) > 1
    for index, line in enumerate(case.lines):
        rate = line.rate_ppm
        if rate not in granted or rate not in RATES_PPM:
            message = f"{rate / 10_000:g} % is not authorised for this taxpayer and type"
            yield Violation(at(index, "rate_ppm"), "RATE_NOT_AUTHORISED", message)
        if rate == 0 and case.type.special:
            message = "a special invoice has no line at rate zero"
            yield Violation(at(index, "rate_ppm"), "SPECIAL_ZERO_RATE", message)
        if rate == _ALONE_PPM and mixed:
            message = "1.5 % does not mix with other rates"
            yield Violation(at(index, "rate_ppm"), "RATE_MIXED", message)


def zero_rates(case: Case) -> Iterator[Violation]:
    """ZERO_RATE_FLAG, and what goes with a preferential policy (优惠政策) (§5.5)."""
    for index, line in enumerate(case.lines):
        if message := _flag_fault(line):
            yield Violation(at(index, "zero_rate_flag"), "ZERO_RATE_FLAG", message)
        policy = line.preferential_policy
        if line.preferential and not policy:
            path = at(index, "preferential_policy")
            yield Violation(path, "FIELD_REQUIRED", "a preferential line names its policy")
        if policy and not line.preferential:
            path = at(index, "preferential_policy")
            yield Violation(path, "FIELD_NOT_ALLOWED", "the line is not marked preferential")


def _flag_fault(line: Line) -> str:
    """Say what is wrong with the zero-rate flag, ``""`` when nothing is."""
    flag = line.zero_rate_flag
    if line.rate_ppm != 0:
        return "must be empty above rate zero" if flag is not _EMPTY else ""
    if flag is _EMPTY:
        return "rate zero needs its reason"
    if flag in _CLAIMING and not (line.preferential and line.preferential_policy):
        return "exempt and not taxable need the preferential flag and policy"
    if flag is ZeroRateFlag.PLAIN_ZERO and (line.preferential or line.preferential_policy):
        return "plain zero has neither preferential flag nor policy"
    return ""
