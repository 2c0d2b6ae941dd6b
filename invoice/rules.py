"""Whether an invoice may be issued: every rule of a request, all answers at once.

The order of the violations is the order of ``RULES`` below, and inside one rule the order of the
document; it never depends on anything else, so the first violation of a request is stable.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final

from invoice import rules_lines, rules_money, rules_red, rules_text
from invoice.case import Case
from invoice.document import Draft, Taxpayer
from invoice.errors import InvalidInvoice, Violation


def authorisation(case: Case) -> Iterator[Violation]:
    """TYPE_NOT_AUTHORISED: the taxpayer is not granted this type, or nobody has it."""
    if case.grant is None and case.draft.type:
        message = f"type {case.draft.type[:3]} is not granted to this taxpayer"
        yield Violation("type", "TYPE_NOT_AUTHORISED", message)


RULES: Final[tuple[Callable[[Case], Iterator[Violation]], ...]] = (
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


def violations(draft: Draft, taxpayer: Taxpayer) -> tuple[Violation, ...]:
    """Name every rule that ``draft`` breaks, judged against one version of its taxpayer."""
    case = Case.of(draft, taxpayer)
    return tuple(chain.from_iterable(rule(case) for rule in RULES))


def check(draft: Draft, taxpayer: Taxpayer) -> None:
    """Raise :class:`InvalidInvoice` with all violations, if there is any."""
    if broken := violations(draft, taxpayer):
        raise InvalidInvoice(broken)
