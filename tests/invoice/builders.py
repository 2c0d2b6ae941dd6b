"""Drafts for tests: one good invoice, and ways to bend it."""

from dataclasses import replace
from typing import Any

from invoice.document import Draft, Kind, Line, Original, Party, Taxpayer, TypeGrant
from invoice.money import expected_tax

RATES = frozenset({0, 15_000, 30_000, 50_000, 60_000, 90_000, 130_000})

TAXPAYER = Taxpayer(
    tax_number="91530100WWWDWGCXHG",
    name="示例商贸(云南)有限公司",
    address_phone="昆明市示例区商贸街3号 0871-0000003",
    bank_account="示例银行昆明分行 53000000000000003",
    grants={
        code: TypeGrant(type=code, rates_ppm=RATES, invoice_limit_fen=10_000_00)
        for code in ("004", "007", "025", "026", "028", "081", "082")
    },
)

SELLER = Party(
    tax_number=TAXPAYER.tax_number,
    name=TAXPAYER.name,
    address_phone=TAXPAYER.address_phone,
    bank_account=TAXPAYER.bank_account,
)

FOUNDATION = Taxpayer(
    tax_number="53110000MJ0YANG1YJ",
    name="示例助学公益基金会",
    address_phone="北京市示例区公益路6号 010-00000006",
    bank_account="示例银行北京分行 11000000000000006",
    grants={"D01": TypeGrant(type="D01", rates_ppm=frozenset({0}), invoice_limit_fen=1)},
)

BUYER = Party(
    tax_number="91330102RH1NBN3K10",
    name="示例采购丙有限公司",
    address_phone="杭州市示例区买家路2号 0571-1000002",
    bank_account="示例银行杭州分行 33000000000000002",
)

ORIGINAL = Original(code="053002600111", number="00000001")
DIGITAL = Original(number="26531000000000000001")
RECEIPT = Original(code="11010126", number="0000000001")


def a_line(**changes: Any) -> Line:
    """Two boxes of milk at 10.00 and 13 %, with whatever is changed; tax follows unless stated."""
    line = Line(
        name="*乳制品*纯牛奶",
        unit="箱",
        specification="250ml*24",
        quantity="2",
        unit_price="10.00",
        amount_fen=2000,
        rate_ppm=130_000,
        classification_code="1030107010100000000",
    )
    line = replace(line, **changes)
    if "tax_fen" in changes:
        return line
    taxable = line.amount_fen - (line.deduction_fen or 0)
    tax_fen = expected_tax(taxable, line.rate_ppm, inclusive=line.tax_inclusive)
    return replace(line, tax_fen=tax_fen)


def bare(**changes: Any) -> Line:
    """A line with neither quantity, price, unit nor specification."""
    return a_line(**{"quantity": "", "unit_price": "", "unit": "", "specification": ""} | changes)


def a_draft(*lines: Line, **changes: Any) -> Draft:
    """A blue 026 of these lines (one, unless stated), its totals right unless changed."""
    lines = lines or (a_line(),)
    net = sum(line.amount_fen - (line.tax_fen if line.tax_inclusive else 0) for line in lines)
    tax = sum(line.tax_fen for line in lines)
    draft = Draft(
        kind=Kind.BLUE,
        type="026",
        seller=SELLER,
        buyer=BUYER,
        lines=tuple(lines),
        net_fen=net,
        tax_fen=tax,
        gross_fen=net + tax,
        clerk="张示例",
        payee="李示例",
        reviewer="王示例",
        code_table_version="39.0",
    )
    return replace(draft, **changes)


def a_red(*lines: Line, **changes: Any) -> Draft:
    """A red 026 that reverses two boxes of milk."""
    lines = lines or (a_line(quantity="-2", amount_fen=-2000),)
    settings = {"kind": Kind.RED, "original": ORIGINAL, "red_reason": "退货"} | changes
    return a_draft(*lines, **settings)


def a_gift(**changes: Any) -> Line:
    """A gift of 1,000 yuan, with whatever is changed."""
    return replace(Line(name="捐赠款", amount_fen=100_000), **changes)


def a_donation(*lines: Line, **changes: Any) -> Draft:
    """A donation receipt over these gifts (one, unless stated), totals right unless changed."""
    lines = lines or (a_gift(),)
    total = sum(line.amount_fen for line in lines)
    draft = Draft(
        kind=Kind.BLUE,
        type="D01",
        seller=Party(
            tax_number=FOUNDATION.tax_number,
            name=FOUNDATION.name,
            address_phone=FOUNDATION.address_phone,
            bank_account=FOUNDATION.bank_account,
        ),
        buyer=Party(name="李四"),
        lines=tuple(lines),
        net_fen=total,
        tax_fen=0,
        gross_fen=total,
        clerk="张示例",
        donation_project="乡村图书角",
    )
    return replace(draft, **changes)


def a_returned_donation(*lines: Line, **changes: Any) -> Draft:
    """The red of a donation receipt."""
    settings = {"kind": Kind.RED, "original": RECEIPT} | changes
    return a_donation(*(lines or (a_gift(amount_fen=-100_000),)), **settings)


def buyer(**changes: Any) -> Party:
    """The buyer, changed."""
    return replace(BUYER, **changes)


def seller(**changes: Any) -> Party:
    """The seller, changed."""
    return replace(SELLER, **changes)
