"""What an applicant is granted: never more than it asks for, never more than is allowed."""

from collections.abc import Sequence
from typing import Final

from authority.simulator.departments import House
from authority.simulator.identifiers import tax_number_valid
from authority.simulator.policy import Policy
from authority.simulator.refusal import Refusal, malformed
from authority.simulator.registry_table import Allowance, Registration, Seller

# Domain reference §5.4.
_RATES_PPM: Final = frozenset(
    {0, 10_000, 15_000, 30_000, 40_000, 50_000, 60_000, 90_000}
    | {100_000, 110_000, 130_000, 160_000, 170_000}
)
_TEXT_BYTES_MAX: Final = 400


def decide(
    seller: Seller, wanted: Sequence[Allowance], policy: Policy, house: House
) -> Registration:
    """Return the registration that an application earns; types nobody grants are left out.

    Refused: TAX_NUMBER_INVALID; TYPE_NOT_GRANTED for a type of the other department;
    REQUEST_INVALID when a field is malformed.
    """
    if not tax_number_valid(seller.tax_number):
        raise Refusal("TAX_NUMBER_INVALID", f"{seller.tax_number!r} is no social credit code")
    if not seller.name.strip():
        raise malformed("seller.name", "must not be empty")
    for text in (seller.name, seller.address_phone, seller.bank_account):
        if len(text.encode()) > _TEXT_BYTES_MAX:
            raise malformed("seller", f"a field has more than {_TEXT_BYTES_MAX} bytes")
    if len({each.type for each in wanted}) != len(wanted):
        raise malformed("wanted", "a type comes twice")
    for each in wanted:
        if each.type in house.foreign_types:
            raise Refusal("TYPE_NOT_GRANTED", f"{each.type} is granted elsewhere", type=each.type)
    return Registration(
        seller=seller,
        allowances=tuple(_allowance(each, policy) for each in wanted if each.type in house.types),
        offline_limits=policy.offline_limits,
    )


def _allowance(wanted: Allowance, policy: Policy) -> Allowance:
    if wanted.invoice_limit_fen < 0 or wanted.holding_count_max < 0:
        raise malformed("wanted", "a limit is 0 or more")
    rates_ppm = dict.fromkeys(rate for rate in wanted.rates_ppm if rate in _RATES_PPM)
    return Allowance(
        type=wanted.type,
        rates_ppm=tuple(rates_ppm),
        invoice_limit_fen=wanted.invoice_limit_fen,
        holding_count_max=min(
            wanted.holding_count_max or policy.holding_count_max, policy.holding_count_max
        ),
    )
