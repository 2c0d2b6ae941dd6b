"""Every rule has a row that breaks it, at the field a caller sent; good invoices break none.

Also: all violations come at once, in one stable order.
"""

from dataclasses import replace
from typing import Any

import pytest

from invoice.document import Draft, Line, Nature, Original, Party, ZeroRateFlag
from invoice.errors import InvalidInvoice
from invoice.money import FEN_MAX
from invoice.rules import check, violations
from tests.invoice.builders import (
    DIGITAL,
    ORIGINAL,
    RECEIPT,
    TAXPAYER,
    a_draft,
    a_line,
    a_red,
    bare,
    buyer,
    seller,
)

DISCOUNTED, DISCOUNT = Nature.DISCOUNTED, Nature.DISCOUNT
EXEMPT = {"preferential": True, "preferential_policy": "免税"}
NOTICE = "5301012611000011"  # fifteen digits sum to 21


def discounted(**changes: Any) -> tuple[Line, Line]:
    return a_line(nature=DISCOUNTED), bare(nature=DISCOUNT, amount_fen=-100, **changes)


def differential(**changes: Any) -> Draft:
    line = bare(amount_fen=10_000, rate_ppm=50_000, deduction_fen=8_000)
    return a_draft(line, **{"remark": "差额征税：80.00。"} | changes)


GOOD = {
    "plain": a_draft(),
    "every buyer field on special": a_draft(type="028"),
    "private buyer": a_draft(buyer=buyer(tax_number="", address_phone="", bank_account="")),
    "old tax number of 15": a_draft(buyer=buyer(tax_number="330102RH1NBN3K1")),
    "old tax number of 17": a_draft(buyer=buyer(tax_number="330102RH1NBN3K1AA")),
    "old tax number of 20": a_draft(buyer=buyer(tax_number="330102RH1NBN3K1AAAAA")),
    "roll": a_draft(type="025", buyer=buyer(address_phone="", bank_account="")),
    "seller's bank left out": a_draft(seller=seller(bank_account="")),
    "name of 100 GBK bytes": a_draft(buyer=buyer(name="测" * 50)),
    "remark of 130 GBK bytes": a_draft(remark="测" * 65),
    "remark of 200 GBK bytes on paper": a_draft(type="007", remark="测" * 100),
    "full-width blank inside": a_draft(buyer=buyer(name="张\u3000三")),
    "discount": a_draft(*discounted()),
    "discount of everything": a_draft(
        a_line(nature=DISCOUNTED), bare(nature=DISCOUNT, amount_fen=-2000)
    ),
    "amount off by exactly 0.01": a_draft(a_line(amount_fen=2001)),
    "fifteen decimals": a_draft(a_line(quantity="3", unit_price="6.666666666666667")),
    "tax off by 0.05": a_draft(a_line(tax_fen=265)),
    "tax off by 0.05 below": a_draft(a_line(tax_fen=255)),
    "tax off by exactly 1.27": a_draft(*[a_line(tax_fen=265)] * 25, a_line(tax_fen=262)),
    "tax errors that cancel out": a_draft(*[a_line(tax_fen=265), a_line(tax_fen=255)] * 30),
    "tax-inclusive": a_draft(a_line(amount_fen=2000, tax_inclusive=True)),
    "limit exactly": a_draft(bare(amount_fen=10_000_00)),
    "eight lines on paper": a_draft(*[a_line()] * 8, type="007"),
    "nine lines with a list": a_draft(*[a_line()] * 9, type="007", list_attached=True),
    "nine lines, electronic": a_draft(*[a_line()] * 9),
    "a hundred lines": a_draft(*[a_line()] * 100),
    "exempt": a_draft(a_line(rate_ppm=0, zero_rate_flag=ZeroRateFlag.EXEMPT, **EXEMPT)),
    "export": a_draft(a_line(rate_ppm=0, zero_rate_flag=ZeroRateFlag.EXPORT)),
    "plain zero": a_draft(a_line(rate_ppm=0, zero_rate_flag=ZeroRateFlag.PLAIN_ZERO)),
    "1.5 % alone": a_draft(a_line(rate_ppm=15_000), a_line(rate_ppm=15_000)),
    "differential": differential(),
    "differential with more to say": differential(remark="差额征税：80.00。派遣12人"),
    "red": a_red(),
    "red special": a_red(type="028", red_notice_number=NOTICE, red_reason=""),
    "digital general to a private buyer": a_draft(type="082", buyer=Party(name="张三")),
    "digital special": a_draft(type="081"),
    "two thousand lines, digital": a_draft(*[bare(amount_fen=100)] * 2000, type="082"),
    "remark of 200 GBK bytes on digital": a_draft(type="081", remark="测" * 100),
    "red digital general": a_red(type="082", original=DIGITAL, red_reason=""),
    "red digital special": a_red(type="081", original=DIGITAL, red_notice_number=NOTICE),
    "red differential": a_red(
        bare(amount_fen=-10_000, rate_ppm=50_000, deduction_fen=-8_000), remark="差额征税：-80.00。"
    ),
}


@pytest.mark.parametrize("draft", GOOD.values(), ids=GOOD)
def test_a_good_invoice_breaks_no_rule(draft: Draft) -> None:
    assert violations(draft, TAXPAYER) == ()


BROKEN = [
    # authorisation
    ("TYPE_NOT_AUTHORISED", "type", a_draft(type="005")),
    ("FIELD_REQUIRED", "type", a_draft(type="")),
    # presence
    ("FIELD_REQUIRED", "seller.tax_number", a_draft(seller=seller(tax_number=""))),
    ("FIELD_REQUIRED", "seller.name", a_draft(seller=seller(name=""))),
    ("FIELD_REQUIRED", "seller.address_phone", a_draft(seller=seller(address_phone=""))),
    ("FIELD_REQUIRED", "buyer.name", a_draft(buyer=buyer(name=""))),
    ("FIELD_REQUIRED", "buyer.tax_number", a_draft(type="028", buyer=buyer(tax_number=""))),
    ("FIELD_REQUIRED", "buyer.tax_number", a_draft(type="004", buyer=buyer(tax_number=""))),
    ("FIELD_REQUIRED", "buyer.address_phone", a_draft(type="028", buyer=buyer(address_phone=""))),
    ("FIELD_REQUIRED", "buyer.bank_account", a_draft(type="004", buyer=buyer(bank_account=""))),
    ("FIELD_NOT_ALLOWED", "buyer.address_phone", a_draft(type="025")),
    ("FIELD_NOT_ALLOWED", "buyer.bank_account", a_draft(type="025")),
    ("FIELD_REQUIRED", "buyer.tax_number", a_draft(type="081", buyer=buyer(tax_number=""))),
    ("FIELD_REQUIRED", "buyer.address_phone", a_draft(type="081", buyer=buyer(address_phone=""))),
    ("FIELD_REQUIRED", "buyer.bank_account", a_draft(type="081", buyer=buyer(bank_account=""))),
    *[
        ("FIELD_NOT_ALLOWED", "donation_project", a_draft(type=code, donation_project="乡村图书角"))
        for code in ("007", "026", "028", "081", "082")
    ],
    ("FIELD_REQUIRED", "clerk", a_draft(clerk="")),
    ("FIELD_REQUIRED", "lines[0].name", a_draft(a_line(name=""))),
    ("FIELD_REQUIRED", "lines[0].classification_code", a_draft(a_line(classification_code=""))),
    # size, in GBK bytes
    ("FIELD_TOO_LONG", "buyer.name", a_draft(buyer=buyer(name="测" * 51))),
    ("FIELD_TOO_LONG", "buyer.name", a_draft(buyer=buyer(name="测" * 50 + "a"))),
    ("FIELD_TOO_LONG", "buyer.address_phone", a_draft(buyer=buyer(address_phone="a" * 101))),
    ("FIELD_TOO_LONG", "clerk", a_draft(clerk="测" * 11)),
    ("FIELD_TOO_LONG", "payee", a_draft(payee="a" * 21)),
    ("FIELD_TOO_LONG", "reviewer", a_draft(reviewer="a" * 21)),
    ("FIELD_TOO_LONG", "remark", a_draft(remark="a" * 131)),
    ("FIELD_TOO_LONG", "remark", a_draft(type="028", remark="测" * 66)),
    ("FIELD_TOO_LONG", "remark", a_draft(type="007", remark="测" * 101)),
    ("FIELD_TOO_LONG", "remark", a_draft(type="082", remark="测" * 101)),
    ("FIELD_TOO_LONG", "red_reason", a_red(red_reason="测" * 101)),
    ("FIELD_TOO_LONG", "code_table_version", a_draft(code_table_version="1" * 21)),
    ("FIELD_TOO_LONG", "lines[0].name", a_draft(a_line(name="测" * 46))),
    ("FIELD_TOO_LONG", "lines[0].unit", a_draft(a_line(unit="测" * 11))),
    ("FIELD_TOO_LONG", "lines[0].specification", a_draft(a_line(specification="a" * 41))),
    ("FIELD_TOO_LONG", "lines[0].own_code", a_draft(a_line(own_code="1" * 21))),
    # characters
    ("FIELD_FORMAT", "buyer.name", a_draft(buyer=buyer(name="a\x00b"))),
    ("FIELD_FORMAT", "buyer.name", a_draft(buyer=buyer(name="\ud800"))),
    ("FIELD_FORMAT", "buyer.name", a_draft(buyer=buyer(name="\U0001f600"))),
    ("FIELD_FORMAT", "clerk", a_draft(clerk="a\x7f")),
    ("FIELD_FORMAT", "remark", a_draft(remark="a\nb")),
    ("FIELD_FORMAT", "lines[1].name", a_draft(a_line(), a_line(name="牛奶\t"))),
    ("FIELD_FORMAT", "lines[0].unit", a_draft(a_line(unit="€"))),
    # whose, and which numbers
    ("SELLER_MISMATCH", "seller.tax_number", a_draft(seller=seller(tax_number="1" * 18))),
    ("SELLER_MISMATCH", "seller.name", a_draft(seller=seller(name="他人"))),
    ("SELLER_MISMATCH", "seller.address_phone", a_draft(seller=seller(address_phone="别处"))),
    ("SELLER_MISMATCH", "seller.bank_account", a_draft(seller=seller(bank_account="1"))),
    ("TAX_NUMBER_INVALID", "buyer.tax_number", a_draft(buyer=buyer(tax_number="1" * 18))),
    ("TAX_NUMBER_INVALID", "buyer.tax_number", a_draft(buyer=buyer(tax_number="1" * 16))),
    ("TAX_NUMBER_INVALID", "buyer.tax_number", a_draft(buyer=buyer(tax_number="a" * 15))),
    ("CLASSIFICATION_CODE", "lines[0].classification_code", a_draft(a_line(classification_code="1" * 18))),
    ("CLASSIFICATION_CODE", "lines[0].classification_code", a_draft(a_line(classification_code="1" * 18 + "x"))),
    # lines
    ("LINE_COUNT", "lines", a_draft(lines=())),
    ("LINE_COUNT", "lines", a_draft(*[a_line()] * 101)),
    ("LINE_COUNT", "lines", a_draft(*[a_line()] * 2001, type="007", list_attached=True)),
    ("LINE_COUNT", "lines", a_draft(*[a_line()] * 2001, type="082")),
    ("LIST_REQUIRED", "list_attached", a_draft(*[a_line()] * 9, type="007")),
    ("LIST_REQUIRED", "list_attached", a_draft(*[a_line()] * 9, type="004")),
    ("DISCOUNT_PLACEMENT", "lines[0].nature", a_draft(a_line(nature=DISCOUNTED), a_line())),
    ("DISCOUNT_PLACEMENT", "lines[0].nature", a_draft(a_line(nature=DISCOUNTED))),
    ("DISCOUNT_PLACEMENT", "lines[1].nature", a_draft(a_line(), discounted()[1])),
    ("DISCOUNT_PLACEMENT", "lines[2].nature", a_draft(*discounted(), discounted()[1])),
    ("DISCOUNT_FIELDS", "lines[1].quantity", a_draft(*discounted(quantity="1"))),
    ("DISCOUNT_FIELDS", "lines[1].unit_price", a_draft(*discounted(unit_price="1"))),
    ("DISCOUNT_FIELDS", "lines[1].unit", a_draft(*discounted(unit="箱"))),
    ("DISCOUNT_FIELDS", "lines[1].specification", a_draft(*discounted(specification="x"))),
    ("DISCOUNT_FIELDS", "lines[1].rate_ppm", a_draft(*discounted(rate_ppm=90_000))),
    ("DISCOUNT_FIELDS", "lines[1].tax_fen", a_draft(*discounted(tax_fen=1))),
    ("DISCOUNT_FIELDS", "lines[1].amount_fen", a_draft(a_line(nature=DISCOUNTED), bare(nature=DISCOUNT, amount_fen=100))),
    # quantities
    ("PRICE_QUANTITY_PAIR", "lines[0].quantity", a_draft(a_line(quantity=""))),
    ("PRICE_QUANTITY_PAIR", "lines[0].unit_price", a_draft(a_line(unit_price=""))),
    ("AMOUNT_MISMATCH", "lines[0].amount_fen", a_draft(a_line(amount_fen=2002))),
    ("AMOUNT_MISMATCH", "lines[0].amount_fen", a_draft(a_line(amount_fen=2001, unit_price="9.999999"))),
    ("AMOUNT_MISMATCH", "lines[0].amount_fen", a_red(a_line(quantity="-2", amount_fen=-2002))),
    ("AMOUNT_ZERO", "lines[0].amount_fen", a_draft(bare(amount_fen=0))),
    *[
        ("FIELD_FORMAT", f"lines[0].{field}", a_draft(a_line(**{field: text})))
        for field in ("quantity", "unit_price")
        for text in ("1e3", "+1", "-1", "0", "0.0", "01", ".5", "5.", "１", "1,000", " 1", "1\n", "NaN")
    ],
    ("FIELD_FORMAT", "lines[0].quantity", a_draft(a_line(quantity="1." + "0" * 16))),
    ("FIELD_FORMAT", "lines[0].quantity", a_draft(a_line(quantity="1" * 16))),
    # rates
    ("RATE_NOT_AUTHORISED", "lines[0].rate_ppm", a_draft(a_line(rate_ppm=100_000))),
    ("RATE_NOT_AUTHORISED", "lines[1].rate_ppm", a_draft(a_line(), a_line(rate_ppm=20_000))),
    ("RATE_NOT_AUTHORISED", "lines[0].rate_ppm", a_draft(a_line(rate_ppm=-1_000_000, tax_fen=0, tax_inclusive=True))),
    ("RATE_MIXED", "lines[1].rate_ppm", a_draft(a_line(), a_line(rate_ppm=15_000))),
    ("SPECIAL_ZERO_RATE", "lines[0].rate_ppm", a_draft(a_line(rate_ppm=0, zero_rate_flag=ZeroRateFlag.EXPORT), type="028")),
    ("SPECIAL_ZERO_RATE", "lines[0].rate_ppm", a_draft(a_line(rate_ppm=0, zero_rate_flag=ZeroRateFlag.EXPORT), type="081")),
    ("ZERO_RATE_FLAG", "lines[0].zero_rate_flag", a_draft(a_line(rate_ppm=0))),
    ("ZERO_RATE_FLAG", "lines[0].zero_rate_flag", a_draft(a_line(zero_rate_flag=ZeroRateFlag.PLAIN_ZERO))),
    ("ZERO_RATE_FLAG", "lines[0].zero_rate_flag", a_draft(a_line(rate_ppm=0, zero_rate_flag=ZeroRateFlag.EXEMPT))),
    ("ZERO_RATE_FLAG", "lines[0].zero_rate_flag", a_draft(a_line(rate_ppm=0, zero_rate_flag=ZeroRateFlag.NOT_TAXABLE, preferential=True))),
    ("ZERO_RATE_FLAG", "lines[0].zero_rate_flag", a_draft(a_line(rate_ppm=0, zero_rate_flag=ZeroRateFlag.PLAIN_ZERO, **EXEMPT))),
    ("FIELD_REQUIRED", "lines[0].preferential_policy", a_draft(a_line(preferential=True))),
    ("FIELD_NOT_ALLOWED", "lines[0].preferential_policy", a_draft(a_line(preferential_policy="免税"))),
    # money
    ("FIELD_FORMAT", "net_fen", a_draft(net_fen=FEN_MAX + 1)),
    ("FIELD_FORMAT", "gross_fen", a_draft(gross_fen=-FEN_MAX - 1)),
    ("FIELD_FORMAT", "lines[0].amount_fen", a_draft(bare(amount_fen=2**63))),
    ("FIELD_FORMAT", "lines[0].deduction_fen", a_draft(bare(deduction_fen=2**63))),
    ("TAX_MISMATCH", "lines[0].tax_fen", a_draft(a_line(tax_fen=266))),
    ("TAX_MISMATCH", "lines[0].tax_fen", a_draft(a_line(tax_fen=254))),
    ("TAX_MISMATCH", "lines[0].tax_fen", a_draft(a_line(tax_fen=260, tax_inclusive=True))),
    ("TAX_MISMATCH", "tax_fen", a_draft(*[a_line(tax_fen=264)] * 32)),  # off by 1.28
    ("TAX_MISMATCH", "tax_fen", a_draft(*[a_line(tax_fen=256)] * 32)),
    ("TOTAL_MISMATCH", "net_fen", a_draft(net_fen=2001)),
    ("TOTAL_MISMATCH", "tax_fen", a_draft(tax_fen=261)),
    ("TOTAL_MISMATCH", "gross_fen", a_draft(gross_fen=2261)),
    ("TOTAL_MISMATCH", "net_fen", a_draft(a_line(tax_inclusive=True), net_fen=2000)),
    ("BLUE_SIGN", "lines[0].amount_fen", a_draft(bare(amount_fen=-2000))),
    ("BLUE_SIGN", "lines[0].tax_fen", a_draft(a_line(tax_fen=-1))),
    ("BLUE_SIGN", "net_fen", a_draft(a_line(nature=DISCOUNTED), bare(nature=DISCOUNT, amount_fen=-2001))),
    ("DEDUCTION_INVALID", "lines[0].deduction_fen", a_draft(bare(deduction_fen=2001), remark="差额征税：20.01。")),
    ("DEDUCTION_INVALID", "lines[0].deduction_fen", a_draft(bare(deduction_fen=-1), remark="差额征税：-0.01。")),
    ("DEDUCTION_INVALID", "lines[0].tax_inclusive", a_draft(bare(deduction_fen=1, tax_inclusive=True), remark="差额征税：0.01。")),
    ("DEDUCTION_INVALID", "lines", a_draft(bare(deduction_fen=1), a_line(), remark="差额征税：0.01。")),
    ("DEDUCTION_INVALID", "remark", differential(remark="")),
    ("DEDUCTION_INVALID", "remark", differential(remark="差额征税：80.01。")),
    ("DEDUCTION_INVALID", "remark", differential(remark="差额征税：80.00")),
    ("REMARK_FORBIDDEN", "remark", differential(remark="差额征税：80.00。差额征税：80.00。")),
    ("REMARK_FORBIDDEN", "remark", a_draft(remark="差额征税：80.00。")),
    ("REMARK_FORBIDDEN", "remark", a_draft(remark="见对应正数发票代码:1")),
    ("REMARK_FORBIDDEN", "remark", a_draft(remark="发票信息表编号1")),
    ("REMARK_FORBIDDEN", "remark", a_draft(remark=" 请尽快寄出")),
    ("REMARK_FORBIDDEN", "remark", a_draft(remark="请尽快寄出\u3000")),
    ("INVOICE_LIMIT_EXCEEDED", "net_fen", a_draft(bare(amount_fen=10_000_01))),
    ("INVOICE_LIMIT_EXCEEDED", "net_fen", a_red(bare(amount_fen=-10_000_01))),
    # red
    ("RED_ORIGINAL_REQUIRED", "original", a_red(original=None)),
    ("RED_ORIGINAL_REQUIRED", "original", a_red(original=Original(code="053002600111"))),
    ("FIELD_FORMAT", "original.code", a_red(original=Original(code="1", number="00000001"))),
    ("FIELD_FORMAT", "original.number", a_red(original=Original(code="053002600111", number="1"))),
    ("FIELD_FORMAT", "original.code", a_red(original=Original(number="00000001"))),
    ("FIELD_FORMAT", "original.number", a_red(original=Original(code="1", number="1"))),
    ("FIELD_FORMAT", "original.code", a_red(original=DIGITAL)),
    ("FIELD_FORMAT", "original.number", a_red(original=DIGITAL)),
    ("FIELD_FORMAT", "original.code", a_red(original=RECEIPT)),
    ("FIELD_FORMAT", "original.code", a_red(type="082", original=ORIGINAL)),
    ("FIELD_FORMAT", "original.number", a_red(type="082", original=ORIGINAL)),
    ("FIELD_FORMAT", "original.number", a_red(type="082", original=Original(number="00000001"))),
    ("FIELD_FORMAT", "original.code", a_red(type="082", original=Original(code="053002600111", number=DIGITAL.number))),
    ("FIELD_FORMAT", "original.number", a_red(type="025", original=Original(code="053002600111", number="1"))),
    ("RED_NOTICE_REQUIRED", "red_notice_number", a_red(type="028")),
    ("RED_NOTICE_REQUIRED", "red_notice_number", a_red(type="004")),
    ("RED_NOTICE_REQUIRED", "red_notice_number", a_red(type="081", original=DIGITAL)),
    ("FIELD_FORMAT", "red_notice_number", a_red(type="004", red_notice_number=NOTICE[:-1] + "9")),
    ("FIELD_REQUIRED", "red_reason", a_red(red_reason="")),
    ("FIELD_REQUIRED", "red_reason", a_red(red_reason=" \u3000")),
    ("RED_SIGN", "lines[0].amount_fen", a_red(bare(amount_fen=2000))),
    ("RED_SIGN", "lines[0].tax_fen", a_red(a_line(quantity="-2", amount_fen=-2000, tax_fen=260))),
    ("RED_SIGN", "lines[0].quantity", a_red(a_line(quantity="2", unit_price="-10", amount_fen=-2000))),
    ("RED_SIGN", "lines[0].unit_price", a_red(a_line(quantity="2", unit_price="-10", amount_fen=-2000))),
    ("RED_SIGN", "net_fen", a_red(net_fen=2000)),
    ("RED_DISCOUNT_LINE", "lines[0].nature", a_red(bare(nature=DISCOUNTED, amount_fen=-2000))),
    ("RED_DISCOUNT_LINE", "lines[1].nature", a_red(bare(amount_fen=-9), bare(nature=DISCOUNT, amount_fen=-9))),
    ("FIELD_NOT_ALLOWED", "original", a_draft(original=Original())),
    ("FIELD_NOT_ALLOWED", "red_notice_number", a_draft(red_notice_number=NOTICE)),
    ("FIELD_NOT_ALLOWED", "red_reason", a_draft(red_reason="退货")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "field", "draft"), BROKEN, ids=[f"{rule}-{field}" for rule, field, _ in BROKEN]
)
def test_a_broken_rule_is_named_at_its_field(rule: str, field: str, draft: Draft) -> None:
    named = {(violation.rule, violation.field) for violation in violations(draft, TAXPAYER)}

    assert (rule, field) in named


# samples/README.md, and the ones added since.
PUBLISHED = {
    "FIELD_REQUIRED",
    "FIELD_TOO_LONG",
    "FIELD_FORMAT",
    "TAX_NUMBER_INVALID",
    "TYPE_NOT_AUTHORISED",
    "RATE_NOT_AUTHORISED",
    "LINE_COUNT",
    "DISCOUNT_PLACEMENT",
    "DISCOUNT_FIELDS",
    "PRICE_QUANTITY_PAIR",
    "AMOUNT_MISMATCH",
    "AMOUNT_ZERO",
    "TAX_MISMATCH",
    "TOTAL_MISMATCH",
    "ZERO_RATE_FLAG",
    "SPECIAL_ZERO_RATE",
    "DEDUCTION_INVALID",
    "CLASSIFICATION_CODE",
    "REMARK_FORBIDDEN",
    "INVOICE_LIMIT_EXCEEDED",
    "RED_ORIGINAL_REQUIRED",
    "RED_SIGN",
    "RED_NOTICE_REQUIRED",
    "RED_DISCOUNT_LINE",
    "SELLER_MISMATCH",
    "FIELD_NOT_ALLOWED",
    "LIST_REQUIRED",
    "RATE_MIXED",
    "BLUE_SIGN",
}


def test_every_rule_can_be_broken_alone() -> None:
    """So that no rule lives on the work of another one."""
    alone = {
        rule
        for rule, _, draft in BROKEN
        if {violation.rule for violation in violations(draft, TAXPAYER)} == {rule}
    }

    assert {rule for rule, _, _ in BROKEN} == alone


def test_every_published_rule_has_a_row() -> None:
    assert {rule for rule, _, _ in BROKEN} == PUBLISHED


def test_all_violations_come_at_once_in_document_order() -> None:
    draft = a_draft(
        a_line(name="", amount_fen=2002, rate_ppm=100_000, tax_fen=0),
        buyer=buyer(name="", tax_number="1"),
        remark=" x",
        net_fen=1,
    )

    named = [(violation.field, violation.rule) for violation in violations(draft, TAXPAYER)]

    assert named == [
        ("buyer.name", "FIELD_REQUIRED"),
        ("lines[0].name", "FIELD_REQUIRED"),
        ("buyer.tax_number", "TAX_NUMBER_INVALID"),
        ("lines[0].amount_fen", "AMOUNT_MISMATCH"),
        ("lines[0].rate_ppm", "RATE_NOT_AUTHORISED"),
        ("lines[0].tax_fen", "TAX_MISMATCH"),
        ("tax_fen", "TAX_MISMATCH"),
        ("net_fen", "TOTAL_MISMATCH"),
        ("gross_fen", "TOTAL_MISMATCH"),
        ("remark", "REMARK_FORBIDDEN"),
    ]


def test_a_type_that_is_not_granted_is_still_judged_by_its_own_rules() -> None:
    poor = replace(TAXPAYER, grants={})

    named = {
        (violation.field, violation.rule)
        for violation in violations(a_draft(*[a_line()] * 9, type="004"), poor)
    }

    assert named == {("type", "TYPE_NOT_AUTHORISED"), ("list_attached", "LIST_REQUIRED")}


def test_a_rate_the_law_does_not_know_is_refused_even_when_it_was_granted() -> None:
    odd = replace(TAXPAYER.grants["026"], rates_ppm=frozenset({20_000}))
    taxpayer = replace(TAXPAYER, grants={"026": odd})

    named = {
        (violation.field, violation.rule)
        for violation in violations(a_draft(a_line(rate_ppm=20_000)), taxpayer)
    }

    assert named == {("lines[0].rate_ppm", "RATE_NOT_AUTHORISED")}


def test_lines_beyond_any_limit_are_refused_without_being_judged_one_by_one() -> None:
    draft = a_draft(*[a_line(name="")] * 5000)

    named = violations(draft, TAXPAYER)

    assert len([one for one in named if one.field.endswith(".name")]) == 2000


def test_check_raises_with_all_violations() -> None:
    draft = a_draft(clerk="", remark=" x")

    with pytest.raises(InvalidInvoice) as raised:
        check(draft, TAXPAYER)

    assert raised.value.violations == violations(draft, TAXPAYER)
    assert raised.value.facts == {"rule": "FIELD_REQUIRED"}


def test_check_is_silent_about_a_good_invoice() -> None:
    check(a_draft(), TAXPAYER)
