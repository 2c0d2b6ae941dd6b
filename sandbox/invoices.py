"""Made-up invoices that are right: two lines, any granted type, no real company or person."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from taxcontrol.admin.v1.taxpayer_pb2 import Taxpayer, TypeGrant
from taxcontrol.v1.invoice_pb2 import INVOICE_KIND_BLUE, Line, Party
from taxcontrol.v1.invoice_service_pb2 import IssueInvoiceRequest

# Roll invoices (卷票 025) have no buyer address and bank; the others take them.
_ROLL: Final = "025"
# A donation receipt (公益事业捐赠票据) states gifts and a project, and nothing about tax.
_DONATION: Final = "D01"
_BUYER: Final = Party(
    tax_number="91330102RH1NBN3K10",
    name="示例采购丙有限公司",
    address_phone="杭州市示例区买家路2号 0571-1000002",
    bank_account="示例银行杭州分行 33000000000000002",
)
_ROLL_BUYER: Final = Party(tax_number=_BUYER.tax_number, name=_BUYER.name)
_CLASSIFICATION_CODE: Final = "1090417010000000000"
# Prices of 1.00 to 99.00 yuan, quantities of 1 to 9: under every sample taxpayer's limit.
_PRICE_STEPS: Final = 99
_QUANTITY_STEPS: Final = 9


@dataclass(frozen=True, slots=True)
class Counter:
    """Where invoices of one type are issued: a point of a taxpayer (开票点) and a type."""

    taxpayer: Taxpayer
    point: int
    grant: TypeGrant

    @property
    def point_name(self) -> str:
        """The resource name of the point."""
        return f"taxpayers/{self.taxpayer.tax_number}/points/{self.point}"


def counters(taxpayers: Iterable[Taxpayer]) -> list[Counter]:
    """Every point of every taxpayer with every type it is granted."""
    return [
        Counter(taxpayer, point.number, grant)
        for taxpayer in taxpayers
        for point in taxpayer.points
        for grant in taxpayer.type_grants
    ]


def requests(
    places: Sequence[Counter], count: int, *, prefix: str
) -> Iterator[IssueInvoiceRequest]:
    """Yield ``count`` requests over all ``places`` in turn; ids are ``{prefix}-{n}``."""
    for n in range(count):
        yield request(places[n % len(places)], n, request_id=f"{prefix}-{n}")


def request(place: Counter, n: int, *, request_id: str) -> IssueInvoiceRequest:
    """Make the ``n``-th invoice of ``place``: the same ``n`` gives the same invoice."""
    if place.grant.type == _DONATION:
        return _receipt(place, n, request_id=request_id)
    rate_ppm = next(rate for rate in place.grant.rates_ppm if rate)
    lines = [_line(2 * n, rate_ppm), _line(2 * n + 1, rate_ppm)]
    net_fen = sum(line.amount_fen for line in lines)
    tax_fen = sum(line.tax_fen for line in lines)
    return IssueInvoiceRequest(
        point=place.point_name,
        request_id=request_id,
        kind=INVOICE_KIND_BLUE,
        type=place.grant.type,
        seller=_seller(place.taxpayer),
        buyer=_ROLL_BUYER if place.grant.type == _ROLL else _BUYER,
        lines=lines,
        net_fen=net_fen,
        tax_fen=tax_fen,
        gross_fen=net_fen + tax_fen,
        clerk="张示例",
        code_table_version="39.0",
    )


def _receipt(place: Counter, n: int, *, request_id: str) -> IssueInvoiceRequest:
    gifts = [
        Line(name="捐赠款", amount_fen=100 * (1 + n * 7 % _PRICE_STEPS)),
        Line(name="儿童图书", unit="册", quantity="10", unit_price="20.00", amount_fen=20_000),
    ]
    total_fen = sum(gift.amount_fen for gift in gifts)
    return IssueInvoiceRequest(
        point=place.point_name,
        request_id=request_id,
        kind=INVOICE_KIND_BLUE,
        type=place.grant.type,
        seller=_seller(place.taxpayer),
        buyer=Party(name="李四"),
        lines=gifts,
        net_fen=total_fen,
        gross_fen=total_fen,
        clerk="张示例",
        donation_project="乡村图书角",
    )


def _seller(taxpayer: Taxpayer) -> Party:
    return Party(
        tax_number=taxpayer.tax_number,
        name=taxpayer.display_name,
        address_phone=taxpayer.address_phone,
        bank_account=taxpayer.bank_account,
    )


def _line(n: int, rate_ppm: int) -> Line:
    price_yuan = 1 + n * 7 % _PRICE_STEPS
    quantity = 1 + n % _QUANTITY_STEPS
    amount_fen = price_yuan * quantity * 100
    return Line(
        name="*家用电器*电热水壶",
        unit="个",
        specification="SY-1",
        quantity=str(quantity),
        unit_price=f"{price_yuan}.00",
        amount_fen=amount_fen,
        # Half up, as the rules have it.
        tax_fen=(amount_fen * rate_ppm + 500_000) // 1_000_000,
        rate_ppm=rate_ppm,
        classification_code=_CLASSIFICATION_CODE,
    )
