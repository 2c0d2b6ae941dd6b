"""Messages to drafts, and ``taxpayers.json`` to taxpayers, written apart from the gateway's own.

A second, independent translation: where it and the gateway disagree, a test shows it.
"""

import json
from decimal import Decimal
from pathlib import Path

from invoice.document import (
    Draft,
    Kind,
    Line,
    Nature,
    Original,
    Party,
    Taxpayer,
    TypeGrant,
    ZeroRateFlag,
)
from taxcontrol.v1 import invoice_pb2 as pb
from taxcontrol.v1.invoice_service_pb2 import IssueInvoiceRequest

SAMPLES = Path(__file__).resolve().parents[2] / "samples"

_KINDS = {pb.INVOICE_KIND_BLUE: Kind.BLUE, pb.INVOICE_KIND_RED: Kind.RED}
_NATURES = {
    pb.Line.NATURE_UNSPECIFIED: Nature.PLAIN,
    pb.Line.NATURE_PLAIN: Nature.PLAIN,
    pb.Line.NATURE_DISCOUNT: Nature.DISCOUNT,
    pb.Line.NATURE_DISCOUNTED: Nature.DISCOUNTED,
}
_FLAGS = dict(enumerate(ZeroRateFlag))


def taxpayers(file: str = "taxpayers.json") -> dict[str, Taxpayer]:
    """Return the sample taxpayers by tax number."""
    rows = json.loads((SAMPLES / file).read_text("utf-8"))
    return {row["tax_no"]: _taxpayer(row) for row in rows}


def draft(request: IssueInvoiceRequest) -> Draft:
    """Translate a request field by field."""
    return Draft(
        kind=_KINDS[request.kind],
        type=request.type,
        seller=_party(request.seller),
        buyer=_party(request.buyer),
        lines=tuple(_line(line) for line in request.lines),
        net_fen=request.net_fen,
        tax_fen=request.tax_fen,
        gross_fen=request.gross_fen,
        clerk=request.clerk,
        payee=request.payee,
        reviewer=request.reviewer,
        remark=request.remark,
        original=(
            Original(code=request.original.code, number=request.original.number)
            if request.HasField("original")
            else None
        ),
        red_notice_number=request.red_notice_number,
        red_reason=request.red_reason,
        list_attached=request.list_attached,
        code_table_version=request.code_table_version,
        donation_project=request.donation_project,
    )


def _taxpayer(row: dict[str, str | list[str]]) -> Taxpayer:
    # Who issues only donation receipts has neither.
    rates = frozenset(int(Decimal(rate) * 1_000_000) for rate in row.get("rates", ()))
    limit_fen = int(Decimal(str(row.get("limit", 0))) * 100)
    return Taxpayer(
        tax_number=str(row["tax_no"]),
        name=str(row["name"]),
        address_phone=str(row["addr"]),
        bank_account=str(row["bank"]),
        grants={
            code: TypeGrant(type=code, rates_ppm=rates, invoice_limit_fen=limit_fen)
            for code in row["types"]
        },
    )


def _party(party: pb.Party) -> Party:
    return Party(
        tax_number=party.tax_number,
        name=party.name,
        address_phone=party.address_phone,
        bank_account=party.bank_account,
    )


def _line(line: pb.Line) -> Line:
    return Line(
        nature=_NATURES[line.nature],
        name=line.name,
        unit=line.unit,
        specification=line.specification,
        quantity=line.quantity,
        unit_price=line.unit_price,
        amount_fen=line.amount_fen,
        tax_fen=line.tax_fen,
        rate_ppm=line.rate_ppm,
        classification_code=line.classification_code,
        own_code=line.own_code,
        preferential=line.preferential,
        preferential_policy=line.preferential_policy,
        zero_rate_flag=_FLAGS[line.zero_rate_flag],
        deduction_fen=line.deduction_fen if line.HasField("deduction_fen") else None,
        tax_inclusive=line.tax_inclusive,
    )
