"""Whether an invoice may be issued: every rule of a request, all answers at once.

The order of the violations is the order of the rules below, and inside one rule the order of the
document; it never depends on anything else, so the first violation of a request is stable.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final, TypeAlias

from invoice import rules_lines, rules_money, rules_red, rules_text, rules_untaxed
from invoice.case import Case
from invoice.document import Draft, Taxpayer
from invoice.errors import InvalidInvoice, Violation


def authorisation(case: Case) -> Iterator[Violation]:
    """TYPE_NOT_AUTHORISED: the taxpayer is not granted this type, or nobody has it."""
    if case.grant is None and case.draft.type:
        message = f"type {case.draft.type[:3]} is not granted to this taxpayer"
        yield Violation("type", "TYPE_NOT_AUTHORISED", message)


_Rules: TypeAlias = tuple[Callable[[Case], Iterator[Violation]], ...]

VAT_RULES: Final[_Rules] = (
    authorisation,
    rules_text.presence_and_size,
    rules_text.characters,
    rules_text.seller,
    rules_text.numbers,
    rules_red.references,
    rules_lines.count,
    rules_lines.discounts,
    rules_lines.quantities,
    rules_lines.rates,
    rules_lines.zero_rates,
    rules_money.magnitudes,
    rules_money.signs,
    rules_money.taxes,
    rules_money.totals,
    rules_money.deductions,
    rules_money.remark,
    rules_money.limit,
)

# Rules 2 to 6 and 9 of domain reference §5 are about tax. What is left of rule 2 (no zero amount,
# quantity and price together) holds for every document.
UNTAXED_RULES: Final[_Rules] = (
    authorisation,
    rules_text.presence_and_size,
    rules_text.characters,
    rules_text.seller,
    rules_text.numbers,
    rules_red.references,
    rules_lines.count,
    rules_untaxed.tax_fields,
    rules_lines.quantities,
    rules_money.magnitudes,
    rules_money.signs,
    rules_money.totals,
    rules_money.remark,
)

# Of a red made from its blue: what its caller says, and that it could be mirrored at all. The
# blue has passed the rest, and what has changed since (the seller's address, a rate, the limit)
# must not keep it from being reversed.
MIRROR_RULES: Final[_Rules] = (
    authorisation,
    rules_text.presence_and_size,
    rules_text.characters,
    rules_red.references,
    rules_lines.count,
    rules_lines.quantities,
    rules_money.signs,
)


def violations(draft: Draft, taxpayer: Taxpayer) -> tuple[Violation, ...]:
    """Name every rule that ``draft`` breaks, judged against one version of its taxpayer."""
    return tuple(chain.from_iterable(violations_in_turn(draft, taxpayer)))


def violations_in_turn(draft: Draft, taxpayer: Taxpayer) -> Iterator[Iterator[Violation]]:
    """Name the same rule by rule, for who must see to something else between two of them."""
    case = Case.of(draft, taxpayer)
    return (rule(case) for rule in (VAT_RULES if case.type.vat else UNTAXED_RULES))


def red_violations(draft: Draft, taxpayer: Taxpayer) -> tuple[Violation, ...]:
    """Name what is wrong with a red that ``reversal.full_red`` made of a blue.

    Not judged again: seller, rates, tax (merging a discount into its line adds up what rounding
    was forgiven), totals, remark and limit.
    """
    return _broken(MIRROR_RULES, Case.of(draft, taxpayer))


def check(draft: Draft, taxpayer: Taxpayer) -> None:
    """Raise :class:`InvalidInvoice` with all violations, if there is any."""
    if broken := violations(draft, taxpayer):
        raise InvalidInvoice(broken)


def _broken(rules: _Rules, case: Case) -> tuple[Violation, ...]:
    return tuple(chain.from_iterable(rule(case) for rule in rules))
