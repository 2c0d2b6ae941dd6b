"""The signed bytes: same draft, same bytes; what was put in is read out; differences are named."""

from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoice import content
from invoice.document import Draft, Kind, Line, Nature, Original, Party, ZeroRateFlag
from invoice.errors import ContentTooLarge
from invoice.rates import RateSum
from tests.invoice.builders import SELLER, TAXPAYER, a_donation, a_draft, a_line, a_red, buyer

HEAD: Final[dict[str, Any]] = {
    "device": "661234567890",
    "code": "053002600111",
    "number": "00000001",
    "issue_time": 1_795_322_460,
}

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FEN = st.integers(-(10**15), 10**15)
LINES = st.builds(
    Line,
    nature=st.sampled_from(Nature),
    name=TEXT,
    unit=TEXT,
    specification=TEXT,
    quantity=TEXT,
    unit_price=TEXT,
    amount_fen=FEN,
    tax_fen=FEN,
    rate_ppm=st.integers(0, 10**6),
    classification_code=TEXT,
    own_code=TEXT,
    preferential=st.booleans(),
    preferential_policy=TEXT,
    zero_rate_flag=st.sampled_from(ZeroRateFlag),
    deduction_fen=st.none() | FEN,
    tax_inclusive=st.booleans(),
)
PARTIES = st.builds(Party, tax_number=TEXT, name=TEXT, address_phone=TEXT, bank_account=TEXT)
DRAFTS = st.builds(
    Draft,
    kind=st.sampled_from(Kind),
    type=TEXT,
    seller=PARTIES,
    buyer=PARTIES,
    lines=st.lists(LINES, max_size=3).map(tuple),
    net_fen=FEN,
    tax_fen=FEN,
    gross_fen=FEN,
    clerk=TEXT,
    payee=TEXT,
    reviewer=TEXT,
    remark=TEXT,
    original=st.none() | st.builds(Original, code=TEXT, number=TEXT),
    red_notice_number=TEXT,
    red_reason=TEXT,
    list_attached=st.booleans(),
    code_table_version=TEXT,
    donation_project=TEXT,
)


def tail(draft: Draft, *, point: int = 0) -> bytes:
    return content.tail(draft, taxpayer=TAXPAYER.tax_number, point=point)


def test_the_content_reads_in_the_published_order() -> None:
    made = content.complete(tail(a_red()), **HEAD)

    assert list(orjson.loads(made)) == [
        *("schema", "device", "code", "number", "issue_time", "taxpayer", "point", "kind", "type"),
        *("seller", "buyer", "lines", "net_fen", "tax_fen", "gross_fen", "clerk", "payee"),
        *("reviewer", "original", "red_reason", "code_table_version"),
    ]
    assert made.startswith(
        b'{"schema":"taxcontrol.invoice.v1","device":"661234567890","code":"053002600111",'
        b'"number":"00000001","issue_time":"2026-11-22T12:41:00+08:00","taxpayer":"'
    )


def test_a_line_states_quantities_as_the_caller_did() -> None:
    made = orjson.loads(b"{" + tail(a_draft(a_line(quantity="2.000", unit_price="10.0"))))

    assert made["lines"] == [
        {
            "nature": "plain",
            "name": "*乳制品*纯牛奶",
            "unit": "箱",
            "specification": "250ml*24",
            "quantity": "2.000",
            "unit_price": "10.0",
            "amount_fen": 2000,
            "tax_fen": 260,
            "rate_ppm": 130_000,
            "classification_code": "1030107010100000000",
        }
    ]


def test_zero_is_stated_and_empty_is_left_out() -> None:
    line = a_line(amount_fen=0, tax_fen=0, rate_ppm=0, deduction_fen=0, unit="")

    made = orjson.loads(b"{" + tail(a_draft(line)))["lines"][0]

    assert (made["amount_fen"], made["tax_fen"], made["rate_ppm"]) == (0, 0, 0)
    assert made["deduction_fen"] == 0
    assert "unit" not in made
    assert "tax_inclusive" not in made


@given(draft=DRAFTS, point=st.integers(0, 65535))
def test_the_same_draft_gives_the_same_bytes_and_its_tail_again(draft: Draft, point: int) -> None:
    one, again = tail(draft, point=point), tail(replace(draft), point=point)

    made = content.complete(one, **HEAD)

    assert one == again
    assert one.startswith(b'"taxpayer":')
    assert one.endswith(b"}")
    assert content.tail_of(made) == one
    assert content.differences(one, again) == ()
    assert content.read(made)["schema"] == "taxcontrol.invoice.v1"


@given(draft=DRAFTS)
def test_a_content_reads_back_as_the_draft_it_was_made_of(draft: Draft) -> None:
    members = content.read(content.complete(tail(draft), **HEAD))

    assert content.document(members) == draft


@pytest.mark.parametrize(
    "change", [{"kind": None}, {"seller": {"x": ""}}, {"lines": [{}]}, {"original": {"x": ""}}]
)
def test_a_document_of_other_members_is_refused(change: dict[str, Any]) -> None:
    members = content.read(content.complete(tail(a_red()), **HEAD))

    with pytest.raises(ValueError):  # noqa: PT011 - the sentence is that of the part that fails
        content.document(members | change)


# Recorded before there were donations: 2026-11-22, three kinds of members, one red.
RECORDED = (
    b'{"schema":"taxcontrol.invoice.v1","device":"661234567890","code":"053002600111",'
    b'"number":"00000001","issue_time":"2026-11-22T12:41:00+08:00",'
    b'"taxpayer":"91530100WWWDWGCXHG","point":3,"kind":"red","type":"026",'
    b'"seller":{"tax_number":"91530100WWWDWGCXHG",'
    + '"name":"示例商贸(云南)有限公司","address_phone":"昆明市示例区商贸街3号 0871-0000003",'.encode()
    + '"bank_account":"示例银行昆明分行 53000000000000003"},'.encode()
    + '"buyer":{"tax_number":"91330102RH1NBN3K10","name":"示例采购丙有限公司",'.encode()
    + '"address_phone":"杭州市示例区买家路2号 0571-1000002",'.encode()
    + '"bank_account":"示例银行杭州分行 33000000000000002"},'.encode()
    + '"lines":[{"nature":"plain","name":"*乳制品*纯牛奶","unit":"箱",'.encode()
    + b'"specification":"250ml*24","quantity":"-2","unit_price":"10.00","amount_fen":-2000,'
    b'"tax_fen":-260,"rate_ppm":130000,"classification_code":"1030107010100000000"}],'
    b'"net_fen":-2000,"tax_fen":-260,"gross_fen":-2260,'
    + '"clerk":"张示例","payee":"李示例","reviewer":"王示例",'.encode()
    + b'"original":{"code":"053002600111","number":"00000001"},'
    + '"red_reason":"退货","code_table_version":"39.0"}'.encode()
)


def test_a_content_without_a_donation_has_the_bytes_it_always_had() -> None:
    made = tail(a_red(), point=3)

    assert content.complete(made, **HEAD) == RECORDED
    assert content.fingerprint(made).hex() == (
        "a719675dbf1c3c2d54985e05beba009b2f81bc840cc8d0b1ae15795010b13563"
    )


def test_a_donation_states_its_project_last() -> None:
    assert tail(a_donation()).endswith(',"donation_project":"乡村图书角"}'.encode())


@given(one=DRAFTS, other=DRAFTS)
def test_drafts_differ_exactly_when_their_tails_do(one: Draft, other: Draft) -> None:
    assert (tail(one) == tail(other)) == (one == other)
    assert (content.differences(tail(one), tail(other)) == ()) == (one == other)


def test_a_text_that_imitates_the_tail_does_not_move_it() -> None:
    draft = a_draft(remark='x","taxpayer":"y')

    made = content.complete(tail(draft), device=',"taxpayer":', code="", number="1", issue_time=0)

    assert content.tail_of(made) == tail(draft)


CHANGED = [
    (("kind",), {"kind": Kind.RED}),
    (("type",), {"type": "007"}),
    (("seller.name",), {"seller": replace(SELLER, name="他人")}),
    (("buyer.tax_number",), {"buyer": buyer(tax_number="")}),
    (("lines",), {"lines": (a_line(), a_line())}),
    (("lines",), {"lines": ()}),
    (("lines[0].quantity",), {"lines": (a_line(quantity="2.0"),)}),
    (("lines[0].amount_fen", "lines[0].tax_fen"), {"lines": (a_line(amount_fen=1, tax_fen=2),)}),
    (("lines[0].deduction_fen",), {"lines": (a_line(deduction_fen=0),)}),
    (("lines[0].tax_inclusive",), {"lines": (a_line(tax_inclusive=True, tax_fen=260),)}),
    (("net_fen",), {"net_fen": 1}),
    (("remark",), {"remark": "x"}),
    (("original",), {"original": Original(code="1", number="2")}),
    (("original",), {"original": Original()}),
    (("red_notice_number",), {"red_notice_number": "1"}),
    (("list_attached",), {"list_attached": True}),
    (("donation_project",), {"donation_project": "乡村图书角"}),
    (("remark", "donation_project"), {"donation_project": "x", "remark": "x"}),
    (("type", "net_fen", "clerk"), {"clerk": "", "net_fen": 0, "type": "028"}),
]


@pytest.mark.parametrize(("paths", "changes"), CHANGED, ids=[str(paths) for paths, _ in CHANGED])
def test_a_difference_is_named_by_its_path_in_document_order(
    paths: tuple[str, ...], changes: dict[str, Any]
) -> None:
    base = a_draft()
    changed = replace(base, **changes)

    assert content.differences(tail(base), tail(changed)) == paths
    assert content.differences(tail(changed), tail(base)) == paths


def test_another_original_differs_in_its_parts() -> None:
    one = a_red(original=Original(code="1", number="2"))
    other = a_red(original=Original(code="1", number="3"))

    assert content.differences(tail(one), tail(other)) == ("original.number",)


def test_another_point_or_taxpayer_is_another_point() -> None:
    base = tail(a_draft())

    assert content.differences(base, tail(a_draft(), point=1)) == ("point",)
    assert content.differences(base, content.tail(a_draft(), taxpayer="1" * 15, point=0)) == (
        "point",
    )


def test_facts_are_read_from_the_bytes() -> None:
    made = content.complete(tail(a_red(), point=7), **HEAD)

    facts = content.facts(made)

    assert facts == content.Facts(
        taxpayer=TAXPAYER.tax_number,
        point=7,
        device="661234567890",
        kind=Kind.RED,
        type="026",
        code="053002600111",
        number="00000001",
        issue_time=1_795_322_460,
        net_fen=-2000,
        tax_fen=-260,
        buyer_tax_number=buyer().tax_number,
        original=("053002600111", "00000001"),
        red_notice_number="",
        rates=(RateSum(130_000, -2000, -260),),
    )


@given(st.integers(946_684_800, 4_102_444_800))
def test_an_issue_time_is_shown_in_shanghai_and_read_back_to_the_second(issue_time: int) -> None:
    made = content.complete(tail(a_draft()), **(HEAD | {"issue_time": issue_time}))

    shown = datetime.fromisoformat(str(content.read(made)["issue_time"]))

    assert str(content.read(made)["issue_time"]).endswith("+08:00")
    assert shown.timestamp() == issue_time
    assert content.facts(made).issue_time == issue_time


@pytest.mark.parametrize("broken", [b"", b"[]", b"{}", b'{"schema":"other"}', b"\xff", b'{"a":1'])
def test_what_is_no_content_is_refused(broken: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the parser's sentence is its own
        content.read(broken)
    with pytest.raises(ValueError):  # noqa: PT011
        content.facts(broken)


def test_facts_need_every_member() -> None:
    with pytest.raises(ValueError, match="issue_time"):
        content.facts(b'{"schema":"taxcontrol.invoice.v1"}')


def test_a_head_that_no_identifiers_make_is_a_bug() -> None:
    with pytest.raises(ValueError, match="before the tail"):
        content.complete(tail(a_draft()), **(HEAD | {"number": "1" * 200}))


def sized(lines: int, spare_bytes: int, limit: int) -> Draft:
    """A draft whose content has exactly ``limit - spare_bytes`` bytes at most."""
    draft = a_draft(*[a_line()] * lines, remark="x")
    room = limit - content.HEAD_BYTES_MAX - len(tail(draft)) - spare_bytes
    return replace(draft, remark="x" * (room + 1))


@pytest.mark.parametrize(("lines", "limit"), [(1, 65_536), (100, 65_536), (101, 1_048_576)])
def test_a_content_may_fill_its_limit_and_not_pass_it(lines: int, limit: int) -> None:
    made = content.complete(tail(sized(lines, 0, limit)), **HEAD)

    with pytest.raises(ContentTooLarge) as raised:
        tail(sized(lines, -1, limit))

    assert limit - content.HEAD_BYTES_MAX < len(made) <= limit
    assert raised.value.facts == {"size_bytes": str(limit + 1), "size_bytes_max": str(limit)}


def test_two_thousand_ordinary_lines_fit() -> None:
    tail(a_draft(*[a_line()] * 2000, type="007"))


def test_the_digest_binds_the_tag() -> None:
    made = content.complete(tail(a_draft()), **HEAD)

    digests = {
        content.digest(tag, made)
        for tag in (
            content.INVOICE_TAG,
            content.VOID_TAG,
            content.BLANK_VOID_TAG,
            content.PERIOD_TAG,
        )
    }

    assert len(digests) == 4
    assert content.digest(content.INVOICE_TAG, made) == (
        sha256(b"taxcontrol.invoice.v1" + b"\x00" + made).digest()
    )


def test_the_fingerprint_is_the_hash_of_the_tail() -> None:
    assert content.fingerprint(tail(a_draft())) == sha256(tail(a_draft())).digest()
