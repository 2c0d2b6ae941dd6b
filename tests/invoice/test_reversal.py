"""A full red negates its blue to the fen, and passes every rule but those left out by design."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given

from invoice import content
from invoice.document import Draft, Kind, Line, Nature, Original, Party, ZeroRateFlag
from invoice.errors import Violation
from invoice.reversal import full_red
from invoice.rules import red_violations, violations
from invoice.types import TYPES, Need
from tests.invoice.blues import EXACT, WEALTHY, Blue, blues
from tests.invoice.builders import (
    DIGITAL,
    FOUNDATION,
    ORIGINAL,
    RECEIPT,
    TAXPAYER,
    a_donation,
    a_draft,
    a_line,
    a_red,
    bare,
)

NOTICE = "5301012611000011"
ORIGINALS = {8: ORIGINAL, 20: DIGITAL, 10: RECEIPT}
# What merging and mirroring may break, so that `red_violations` does not judge it.
BY_DESIGN = {"TAX_MISMATCH"}


def reversed_(blue: Draft, type: str = "", **changes: Any) -> Draft:
    """The full red of ``blue``, over the bytes of its content."""
    tail = content.tail(blue, taxpayer=TAXPAYER.tax_number, point=0)
    made = content.complete(tail, device="661234567890", code="1", number="1", issue_time=0)
    row = TYPES[type or blue.type]
    said: dict[str, Any] = {
        "clerk": "赵示例",
        "red_reason": "退货",
        "red_notice_number": NOTICE if row.red_notice is Need.REQUIRED else "",
        "original": ORIGINALS[TYPES[blue.type].number_width],
    }
    return full_red(content.read(made), type=type, **(said | changes))


def rules(found: tuple[Violation, ...]) -> set[str]:
    return {violation.rule for violation in found}


def totals(draft: Draft) -> tuple[int, int, int]:
    return draft.net_fen, draft.tax_fen, draft.gross_fen


def line_sums(draft: Draft) -> tuple[int, int]:
    tax = sum(line.tax_fen for line in draft.lines)
    inclusive = sum(line.tax_fen for line in draft.lines if line.tax_inclusive)
    return sum(line.amount_fen for line in draft.lines) - inclusive, tax


def check_arithmetic(line: Line) -> None:
    """|amount − quantity × price| ≤ 0.01, in decimals of the words."""
    assert bool(line.quantity) == bool(line.unit_price)
    if line.quantity:
        quantity, price = Decimal(line.quantity), Decimal(line.unit_price)
        off = EXACT.subtract(EXACT.multiply(quantity, price), Decimal(line.amount_fen).scaleb(-2))
        exponent = price.as_tuple().exponent
        assert isinstance(exponent, int)
        assert (quantity < 0, price > 0, -exponent <= 15) == (True, True, True)
        assert abs(off) <= Decimal("0.01")


def is_pair_odd(line: Line, discount: Line) -> bool:
    """Whether a discount leaves nothing that a red line could state."""
    return line.amount_fen + discount.amount_fen <= 0 or line.tax_fen + discount.tax_fen < 0


@given(blues())
def test_the_red_of_any_blue_negates_it_and_passes(blue: Blue) -> None:
    assume(not violations(blue.draft, blue.taxpayer))

    red = reversed_(blue.draft, blue.red_type)

    merged = [line for line in blue.draft.lines if line.nature is not Nature.DISCOUNT]
    assert totals(red) == tuple(-total for total in totals(blue.draft))
    assert line_sums(red) == (red.net_fen, red.tax_fen)
    assert red_violations(red, blue.taxpayer) == ()
    assert rules(violations(red, blue.taxpayer)) <= BY_DESIGN
    assert [line.quantity for line in red.lines] == [
        f"-{line.quantity}" if line.quantity else "" for line in merged
    ]
    if TYPES[red.type].vat:
        for line in red.lines:
            check_arithmetic(line)


@given(blues())
def test_without_discounts_the_red_passes_every_rule(blue: Blue) -> None:
    plain = replace(
        blue, draft=_of_lines(blue.draft, [one for one in blue.draft.lines if one.amount_fen > 0])
    )
    assume(not violations(plain.draft, plain.taxpayer))

    red = reversed_(plain.draft, plain.red_type)

    assert violations(red, plain.taxpayer) == red_violations(red, plain.taxpayer) == ()
    assert [line.unit_price for line in red.lines] == [
        line.unit_price for line in plain.draft.lines
    ]


@given(blues(over_discounted=True))
def test_even_over_discounted_the_totals_are_exact_and_what_cannot_be_is_named(blue: Blue) -> None:
    assume(not violations(blue.draft, blue.taxpayer))

    red = reversed_(blue.draft, blue.red_type)

    lines = blue.draft.lines
    odd = any(
        after.nature is Nature.DISCOUNT and is_pair_odd(line, after)
        for line, after in pairwise(lines)
    )
    broken = rules(red_violations(red, blue.taxpayer))
    assert totals(red) == tuple(-total for total in totals(blue.draft))
    assert line_sums(red) == (red.net_fen, red.tax_fen)
    assert broken <= ({"RED_SIGN", "AMOUNT_ZERO", "LINE_COUNT"} if odd else set())
    assert all(line.nature is Nature.PLAIN for line in red.lines)


def _of_lines(draft: Draft, lines: list[Line]) -> Draft:
    plain = [replace(line, nature=Nature.PLAIN) for line in lines]
    tax = sum(line.tax_fen for line in plain)
    net = sum(line.amount_fen - (line.tax_fen if line.tax_inclusive else 0) for line in plain)
    return replace(draft, lines=tuple(plain), net_fen=net, tax_fen=tax, gross_fen=net + tax)


def pair(discount_fen: int, discount_tax_fen: int, **changes: Any) -> tuple[Line, Line]:
    """Two boxes of milk for 20.00 and a discount on them."""
    common = {"rate_ppm": 130_000} | changes
    return (
        a_line(nature=Nature.DISCOUNTED, **changes),
        bare(
            nature=Nature.DISCOUNT,
            amount_fen=-discount_fen,
            tax_fen=-discount_tax_fen,
            rate_ppm=common["rate_ppm"],
        ),
    )


def test_a_red_says_what_its_blue_said_and_who_reverses_it() -> None:
    blue = a_draft(remark="请尽快寄出")

    red = reversed_(blue)

    assert red == Draft(
        kind=Kind.RED,
        type="026",
        seller=blue.seller,
        buyer=blue.buyer,
        lines=(replace(blue.lines[0], quantity="-2", amount_fen=-2000, tax_fen=-260),),
        net_fen=-2000,
        tax_fen=-260,
        gross_fen=-2260,
        clerk="赵示例",
        original=ORIGINAL,
        red_reason="退货",
        code_table_version="39.0",
    )


def test_an_unnamed_clerk_or_type_is_the_blues() -> None:
    red = reversed_(a_draft(type="082"), clerk="")

    assert (red.clerk, red.type) == ("张示例", "082")


def test_a_discount_is_taken_into_its_line_and_its_price() -> None:
    red = reversed_(a_draft(*pair(100, 13)))

    [line] = red.lines
    assert (line.quantity, line.unit_price) == ("-2", "9.5")
    assert (line.amount_fen, line.tax_fen, line.unit) == (-1900, -247, "箱")


def test_a_price_without_end_has_fifteen_decimals() -> None:
    line = a_line(nature=Nature.DISCOUNTED, quantity="3", unit_price="10", amount_fen=3000)

    [red] = reversed_(a_draft(line, pair(1000, 130)[1])).lines

    assert red.unit_price == "6.666666666666667"


def test_quantity_and_price_are_left_out_where_no_price_fits() -> None:
    quantity = "900000000000000"
    line = a_line(
        nature=Nature.DISCOUNTED,
        quantity=quantity,
        unit_price="0.000000000000003",
        amount_fen=270,
    )

    [red] = reversed_(a_draft(line, pair(100, 13)[1])).lines

    assert (red.quantity, red.unit_price, red.amount_fen) == ("", "", -170)


def test_a_line_that_its_discount_takes_whole_is_not_on_the_red() -> None:
    red = reversed_(a_draft(*pair(2000, 260), a_line()))

    assert [line.amount_fen for line in red.lines] == [-2000]
    assert red_violations(red, TAXPAYER) == ()


def test_the_largest_line_taxed_alike_bears_what_a_discount_takes_beyond_its_line() -> None:
    other = bare(amount_fen=90_000, rate_ppm=90_000)
    blue = a_draft(*pair(2500, 325), a_line(), a_line(quantity="3", amount_fen=3000), other)

    red = reversed_(blue)

    stated = [(line.quantity, line.unit_price, line.amount_fen) for line in red.lines]
    assert stated == [("-2", "10.00", -2000), ("-3", "8.333333333333333", -2500), ("", "", -90_000)]
    assert totals(red) == tuple(-total for total in totals(blue))
    assert red_violations(red, TAXPAYER) == ()


def test_a_rest_of_tax_alone_is_borne_too() -> None:
    red = reversed_(a_draft(*pair(2000, 259), a_line()))

    assert [(line.amount_fen, line.tax_fen) for line in red.lines] == [(-2000, -261)]
    assert red_violations(red, TAXPAYER) == ()


def test_what_no_line_can_bear_is_refused_by_name() -> None:
    red = reversed_(a_draft(*pair(2500, 325), bare(amount_fen=90_000, rate_ppm=90_000)))

    assert ("lines[1].amount_fen", "RED_SIGN") in {
        (violation.field, violation.rule) for violation in red_violations(red, TAXPAYER)
    }


def test_a_blue_of_nothing_has_no_red() -> None:
    red = reversed_(a_draft(*pair(2000, 260)))

    assert [(one.field, one.rule) for one in red_violations(red, TAXPAYER)] == [
        ("lines", "LINE_COUNT")
    ]


def test_a_differential_red_begins_as_it_must() -> None:
    line = bare(amount_fen=10_000, rate_ppm=50_000, deduction_fen=8_000)
    blue = a_draft(line, remark="差额征税：80.00。派遣12人")

    red = reversed_(blue)

    assert (red.remark, red.lines[0].deduction_fen) == ("差额征税：-80.00。", -8_000)
    assert violations(blue, TAXPAYER) == violations(red, TAXPAYER) == ()


def test_exempt_lines_keep_their_reason() -> None:
    exempt = {"preferential": True, "preferential_policy": "免税", "rate_ppm": 0}

    red = reversed_(a_draft(a_line(zero_rate_flag=ZeroRateFlag.EXEMPT, **exempt)))

    assert violations(red, TAXPAYER) == ()
    assert red.lines[0].zero_rate_flag is ZeroRateFlag.EXEMPT


@pytest.mark.parametrize(
    ("lines", "attached"),
    [([a_line()] * 8, False), ([a_line()] * 9, True), ([*pair(100, 13)] * 8, False)],
)
def test_a_list_is_attached_where_the_red_needs_one(lines: list[Line], attached: bool) -> None:
    red = reversed_(a_draft(*lines), "007")

    assert red.list_attached is attached
    assert red_violations(red, TAXPAYER) == ()


def test_a_roll_invoice_is_reversed_by_an_electronic_one() -> None:
    red = reversed_(a_draft(type="025", buyer=Party(name="张三")), "026")

    assert violations(red, TAXPAYER) == red_violations(red, TAXPAYER) == ()


def test_a_donation_is_returned_with_its_project() -> None:
    red = reversed_(a_donation())

    assert (red.donation_project, red.net_fen, red.original) == ("乡村图书角", -100_000, RECEIPT)
    assert violations(red, FOUNDATION) == red_violations(red, FOUNDATION) == ()


def test_a_changed_registration_does_not_keep_a_blue_from_being_reversed() -> None:
    grant = replace(TAXPAYER.grants["026"], rates_ppm=frozenset({60_000}), invoice_limit_fen=1)
    moved = replace(TAXPAYER, address_phone="别处 1", name="改名公司", grants={"026": grant})
    red = reversed_(a_draft())

    assert rules(violations(red, moved)) == {
        "SELLER_MISMATCH",
        "RATE_NOT_AUTHORISED",
        "INVOICE_LIMIT_EXCEEDED",
    }
    assert red_violations(red, moved) == ()


SAID = [
    ("FIELD_TOO_LONG", "clerk", a_draft(), "", {"clerk": "测" * 11}),
    ("FIELD_FORMAT", "clerk", a_draft(), "", {"clerk": "a\x00"}),
    ("FIELD_REQUIRED", "red_reason", a_draft(), "", {"red_reason": ""}),
    ("FIELD_TOO_LONG", "red_reason", a_draft(), "", {"red_reason": "测" * 101}),
    ("RED_NOTICE_REQUIRED", "red_notice_number", a_draft(type="081"), "", {"red_notice_number": ""}),
    ("FIELD_FORMAT", "red_notice_number", a_draft(type="028"), "", {"red_notice_number": "1"}),
    ("FIELD_FORMAT", "original.number", a_draft(), "", {"original": Original(code="053002600111", number="1")}),
    ("FIELD_NOT_ALLOWED", "red_notice_number", a_donation(), "", {"red_notice_number": NOTICE}),
    ("TYPE_NOT_AUTHORISED", "type", a_draft(), "D01", {"original": RECEIPT}),
    ("LINE_COUNT", "lines", a_draft(*[a_line()] * 101, type="007", list_attached=True), "026", {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "field", "blue", "type_code", "changes"),
    SAID,
    ids=[f"{rule}-{field}" for rule, field, *_ in SAID],
)
def test_what_a_caller_says_is_judged(
    rule: str, field: str, blue: Draft, type_code: str, changes: dict[str, Any]
) -> None:
    taxpayer = FOUNDATION if blue.type == "D01" else WEALTHY

    found = red_violations(reversed_(blue, type_code, **changes), taxpayer)

    assert (rule, field) in {(violation.rule, violation.field) for violation in found}


def test_a_red_has_no_red() -> None:
    with pytest.raises(ValueError, match="only a blue"):
        reversed_(a_red())
