"""Sellers to register, and valid requests of theirs: made up, and no two tests use the same."""

import itertools
import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from stdnum.cn import uscc

from taxcontrol.admin.v1 import (
    taxpayer_pb2,
    taxpayer_service_pb2,
)
from taxcontrol.v1 import (
    invoice_pb2,
    invoice_service_pb2,
)

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
_ordinals = itertools.count(1)

IssueInvoiceRequest = invoice_service_pb2.IssueInvoiceRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Seller:
    """A registered taxpayer with numbers at its points."""

    tax_number: str
    display_name: str = "示例商贸有限公司"
    address_phone: str = "上海市示例区示例路1号 021-00000001"
    bank_account: str = "示例银行 31000000000000001"
    types: tuple[str, ...] = ("026",)
    rates_ppm: tuple[int, ...] = (60_000, 90_000, 130_000)
    invoice_limit_fen: int = 10_000_000
    holding_count_max: int = 0
    points: tuple[int, ...] = (0,)

    @property
    def name(self) -> str:
        """The resource name."""
        return f"taxpayers/{self.tax_number}"

    def point(self, number: int = 0) -> str:
        """The resource name of a point."""
        return f"{self.name}/points/{number}"

    def registration(self, request_id: str) -> taxpayer_service_pb2.RegisterTaxpayerRequest:
        """The request that registers it."""
        return taxpayer_service_pb2.RegisterTaxpayerRequest(
            request_id=request_id,
            taxpayer=taxpayer_pb2.Taxpayer(
                tax_number=self.tax_number,
                display_name=self.display_name,
                address_phone=self.address_phone,
                bank_account=self.bank_account,
                type_grants=[
                    taxpayer_pb2.TypeGrant(
                        type=type_,
                        rates_ppm=self.rates_ppm,
                        invoice_limit_fen=self.invoice_limit_fen,
                        holding_count_max=self.holding_count_max,
                    )
                    for type_ in self.types
                ],
                points=[taxpayer_pb2.Point(number=number) for number in self.points],
            ),
        )


def new_id(what: str = "request") -> str:
    """A request id no other test uses."""
    return f"{what}-{next(_ordinals)}"


def new_tax_number(region: str = "310115") -> str:
    """A valid tax number no other test uses."""
    head = f"91{region}{next(_ordinals):09d}"
    return head + str(uscc.calc_check_digit(head))


def sample_sellers() -> list[Seller]:
    """The sellers of ``samples/taxpayers.json``."""
    return [
        Seller(
            tax_number=row["tax_no"],
            display_name=row["name"],
            address_phone=row["addr"],
            bank_account=row["bank"],
            types=tuple(row["types"]),
            rates_ppm=tuple(int(Decimal(rate) * 1_000_000) for rate in row["rates"]),
            invoice_limit_fen=int(Decimal(row["limit"]) * 100),
            points=tuple(int(point) for point in row["points"]),
        )
        for row in json.loads((SAMPLES / "taxpayers.json").read_text("utf-8"))
    ]


def ticket(
    seller: Seller,
    request_id: str = "",
    *,
    point: int = 0,
    net_fen: int = 10_000,
    type_: str = "026",
    lines: int = 1,
    buyer: str = "个人",
    remark: str = "",
) -> IssueInvoiceRequest:
    """A valid request at 6 %: ``lines`` lines of ``net_fen`` each, to a private buyer.

    ``net_fen`` is a multiple of 100, so that the tax comes out even.
    """
    assert net_fen % 100 == 0, net_fen
    tax_fen = net_fen * 6 // 100
    return IssueInvoiceRequest(
        point=seller.point(point),
        request_id=request_id or new_id("ticket"),
        kind=invoice_pb2.INVOICE_KIND_BLUE,
        type=type_,
        seller=invoice_pb2.Party(
            tax_number=seller.tax_number,
            name=seller.display_name,
            address_phone=seller.address_phone,
            bank_account=seller.bank_account,
        ),
        buyer=invoice_pb2.Party(name=buyer),
        lines=[
            invoice_pb2.Line(
                name="*信息技术服务*技术服务费",
                amount_fen=net_fen,
                tax_fen=tax_fen,
                rate_ppm=60_000,
                classification_code="3040203000000000000",
            )
            for _ in range(lines)
        ],
        net_fen=lines * net_fen,
        tax_fen=lines * tax_fen,
        gross_fen=lines * (net_fen + tax_fen),
        clerk="张示例",
        remark=remark,
        list_attached=lines > 8 and type_ in ("004", "007"),
    )
