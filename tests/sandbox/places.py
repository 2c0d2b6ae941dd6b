"""Where the sample taxpayers issue, and those taxpayers as the rules want them."""

from invoice.document import Taxpayer, TypeGrant
from sandbox.invoices import Counter, counters
from sandbox.layout import SAMPLES
from taxctl import registration

SELLERS = [
    taxpayer
    for file in ("taxpayers.json", "taxpayers-json.json")
    for taxpayer in registration.taxpayers((SAMPLES / file).read_bytes())
]
PLACES = counters(SELLERS)
DIGITAL_PLACE = next(place for place in PLACES if place.grant.type == "082")


def judged(place: Counter) -> Taxpayer:
    """The taxpayer of ``place`` as the rules want it."""
    seller = place.taxpayer
    return Taxpayer(
        tax_number=seller.tax_number,
        name=seller.display_name,
        address_phone=seller.address_phone,
        bank_account=seller.bank_account,
        grants={
            grant.type: TypeGrant(
                type=grant.type,
                rates_ppm=frozenset(grant.rates_ppm),
                invoice_limit_fen=grant.invoice_limit_fen,
            )
            for grant in (*seller.type_grants, place.grant)
        },
    )
