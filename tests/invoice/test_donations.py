"""A donation receipt states a donor, a project and gifts, and nothing about tax."""

from dataclasses import replace
from typing import Any

import pytest

from invoice.document import Draft, Nature, Original, Party, ZeroRateFlag
from invoice.money import FEN_MAX
from invoice.rules import violations
from invoice.types import TYPES
from tests.invoice.builders import (
    BUYER,
    DIGITAL,
    FOUNDATION,
    ORIGINAL,
    RECEIPT,
    a_donation,
    a_gift,
    a_returned_donation,
)

NOTICE = "5301012611000011"
BOOKS = {"unit": "册", "specification": "32开", "quantity": "300", "unit_price": "28.80"}
DONOR = Party(name="李四")

GOOD = {
    "money": a_donation(),
    "in kind, valued as a whole": a_donation(a_gift(**BOOKS), a_gift(amount_fen=1)),
    "a donor with a tax number": a_donation(buyer=Party(tax_number=BUYER.tax_number, name="丙")),
    "payee and reviewer": a_donation(payee="李示例", reviewer="王示例"),
    "a project of 100 GBK bytes": a_donation(donation_project="测" * 50),
    "a remark of 200 GBK bytes": a_donation(remark="测" * 100),
    "a hundred lines": a_donation(*[a_gift()] * 100),
    "above any limit tier": a_donation(a_gift(amount_fen=10**13)),
    "red": a_returned_donation(),
    "red in kind": a_returned_donation(a_gift(**BOOKS | {"quantity": "-300"}, amount_fen=-9)),
    "red with a reason": a_returned_donation(red_reason="捐赠人撤回"),
}


@pytest.mark.parametrize("draft", GOOD.values(), ids=GOOD)
def test_a_good_receipt_breaks_no_rule(draft: Draft) -> None:
    assert violations(draft, FOUNDATION) == ()


def taxed(**changes: Any) -> Draft:
    return a_donation(a_gift(**changes))


BROKEN = [
    ("FIELD_REQUIRED", "donation_project", a_donation(donation_project="")),
    ("FIELD_TOO_LONG", "donation_project", a_donation(donation_project="测" * 50 + "a")),
    ("FIELD_FORMAT", "donation_project", a_donation(donation_project="a\x00")),
    ("FIELD_REQUIRED", "buyer.name", a_donation(buyer=Party())),
    ("FIELD_REQUIRED", "clerk", a_donation(clerk="")),
    ("FIELD_REQUIRED", "lines[0].name", a_donation(a_gift(name=""))),
    ("FIELD_NOT_ALLOWED", "buyer.address_phone", a_donation(buyer=replace(DONOR, address_phone="x"))),
    ("FIELD_NOT_ALLOWED", "buyer.bank_account", a_donation(buyer=replace(DONOR, bank_account="x"))),
    ("TAX_NUMBER_INVALID", "buyer.tax_number", a_donation(buyer=replace(DONOR, tax_number="1"))),
    ("SELLER_MISMATCH", "seller.name", a_donation(seller=replace(a_donation().seller, name="他人"))),
    # what only a VAT invoice states
    ("FIELD_NOT_ALLOWED", "tax_fen", a_donation(a_gift(tax_fen=1), tax_fen=1, gross_fen=100_001)),
    ("FIELD_NOT_ALLOWED", "code_table_version", a_donation(code_table_version="39.0")),
    ("FIELD_NOT_ALLOWED", "lines[0].nature", taxed(nature=Nature.DISCOUNTED)),
    ("FIELD_NOT_ALLOWED", "lines[0].nature", a_donation(a_gift(nature=Nature.DISCOUNT, amount_fen=-1), a_gift())),
    ("FIELD_NOT_ALLOWED", "lines[0].tax_fen", a_donation(a_gift(tax_fen=1), tax_fen=1, gross_fen=100_001)),
    ("FIELD_NOT_ALLOWED", "lines[0].rate_ppm", taxed(rate_ppm=130_000)),
    ("FIELD_NOT_ALLOWED", "lines[0].classification_code", taxed(classification_code="1" * 19)),
    ("FIELD_NOT_ALLOWED", "lines[0].own_code", taxed(own_code="1")),
    ("FIELD_NOT_ALLOWED", "lines[0].preferential", taxed(preferential=True)),
    ("FIELD_NOT_ALLOWED", "lines[0].preferential_policy", taxed(preferential_policy="免税")),
    ("FIELD_NOT_ALLOWED", "lines[0].zero_rate_flag", taxed(zero_rate_flag=ZeroRateFlag.EXEMPT)),
    ("FIELD_NOT_ALLOWED", "lines[0].deduction_fen", taxed(deduction_fen=0)),
    ("FIELD_NOT_ALLOWED", "lines[0].tax_inclusive", taxed(tax_inclusive=True)),
    # gifts
    ("LINE_COUNT", "lines", a_donation(lines=(), net_fen=0, gross_fen=0)),
    ("LINE_COUNT", "lines", a_donation(*[a_gift()] * 101)),
    ("AMOUNT_ZERO", "lines[0].amount_fen", a_donation(a_gift(amount_fen=0))),
    ("PRICE_QUANTITY_PAIR", "lines[0].unit_price", a_donation(a_gift(quantity="1"))),
    ("PRICE_QUANTITY_PAIR", "lines[0].quantity", a_donation(a_gift(unit_price="1"))),
    ("FIELD_FORMAT", "lines[0].quantity", a_donation(a_gift(quantity="1e3", unit_price="1"))),
    ("FIELD_FORMAT", "lines[0].unit_price", a_donation(a_gift(quantity="1", unit_price="-1"))),
    ("FIELD_FORMAT", "lines[0].amount_fen", a_donation(a_gift(amount_fen=FEN_MAX + 1))),
    ("BLUE_SIGN", "lines[0].amount_fen", a_donation(a_gift(amount_fen=-1))),
    ("TOTAL_MISMATCH", "net_fen", a_donation(net_fen=1)),
    ("TOTAL_MISMATCH", "gross_fen", a_donation(gross_fen=1)),
    ("REMARK_FORBIDDEN", "remark", a_donation(remark=" x")),
    ("REMARK_FORBIDDEN", "remark", a_donation(remark="差额征税：1.00。")),
    # red
    ("RED_ORIGINAL_REQUIRED", "original", a_returned_donation(original=None)),
    ("FIELD_FORMAT", "original.code", a_returned_donation(original=ORIGINAL)),
    ("FIELD_FORMAT", "original.number", a_returned_donation(original=ORIGINAL)),
    ("FIELD_FORMAT", "original.code", a_returned_donation(original=DIGITAL)),
    ("FIELD_FORMAT", "original.number", a_returned_donation(original=Original(code=RECEIPT.code, number="00000001"))),
    ("FIELD_NOT_ALLOWED", "red_notice_number", a_returned_donation(red_notice_number=NOTICE)),
    ("FIELD_NOT_ALLOWED", "red_notice_number", a_donation(red_notice_number=NOTICE)),
    ("FIELD_NOT_ALLOWED", "original", a_donation(original=RECEIPT)),
    ("RED_SIGN", "lines[0].amount_fen", a_returned_donation(a_gift())),
    ("RED_SIGN", "lines[0].quantity", a_returned_donation(a_gift(**BOOKS, amount_fen=-9))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "field", "draft"), BROKEN, ids=[f"{rule}-{field}" for rule, field, _ in BROKEN]
)
def test_a_broken_rule_is_named_at_its_field_once(rule: str, field: str, draft: Draft) -> None:
    named = [(violation.rule, violation.field) for violation in violations(draft, FOUNDATION)]

    assert named.count((rule, field)) == 1


@pytest.mark.parametrize(
    ("rule", "draft"),
    [(rule, draft) for rule, _, draft in BROKEN],
    ids=[f"{rule}-{field}" for rule, field, _ in BROKEN],
)
def test_every_row_breaks_its_rule_alone(rule: str, draft: Draft) -> None:
    """So that nothing about a receipt is refused for a tax it cannot have."""
    assert {violation.rule for violation in violations(draft, FOUNDATION)} == {rule}


@pytest.mark.parametrize("type_code", sorted(TYPES.keys() - {"D01"}))
def test_under_the_type_of_an_invoice_a_receipt_is_judged_as_one(type_code: str) -> None:
    named = {violation.rule for violation in violations(a_donation(type=type_code), FOUNDATION)}

    assert {"TYPE_NOT_AUTHORISED", "FIELD_NOT_ALLOWED", "FIELD_REQUIRED"} <= named
    assert "SPECIAL_ZERO_RATE" in named or "ZERO_RATE_FLAG" in named
