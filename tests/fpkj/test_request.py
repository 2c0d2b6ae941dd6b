"""FPKJ requests: every field arrives where it belongs, exactly, or is refused by its element."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fpkj
from fpkj.fields import HEADER, LINE
from taxcontrol.v1 import invoice_pb2 as pb
from taxcontrol.v1.invoice_service_pb2 import IssueInvoiceRequest

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "fpkj"
BLUE = pb.INVOICE_KIND_BLUE
PLAIN = (SAMPLES / "ok-merchant-discount.xml").read_bytes().decode("gbk")

Edit = Callable[[str], str]


def swap(old: str, new: str) -> Edit:
    """Return an edit that puts ``new`` in the place of the first ``old``."""

    def edit(document: str) -> str:
        assert old in document
        return document.replace(old, new, 1)

    return edit


def refused(document: str | bytes) -> fpkj.FpkjError:
    data = document if isinstance(document, bytes) else document.encode("gbk")
    with pytest.raises(fpkj.FpkjError) as raised:
        fpkj.read(data)
    return raised.value


def test_a_sample_arrives_field_by_field() -> None:
    [request] = fpkj.read(PLAIN.encode("gbk"), point=2)

    assert request.point == "taxpayers/91530100WWWDWGCXHG/points/2"
    assert request.request_id == "MER00700000000000008"
    assert (request.type, request.kind) == ("026", pb.INVOICE_KIND_BLUE)
    assert request.seller.name == "示例商贸(云南)有限公司"
    assert request.buyer.bank_account == "示例银行杭州分行 33000000000000002"
    assert (request.clerk, request.payee, request.reviewer) == ("张示例", "李示例", "王示例")
    assert (request.net_fen, request.tax_fen, request.gross_fen) == (27531, 3580, 31111)
    assert request.code_table_version == "39.0"
    assert not request.HasField("original")
    assert [line.nature for line in request.lines] == [
        pb.Line.NATURE_DISCOUNTED,
        pb.Line.NATURE_DISCOUNT,
        pb.Line.NATURE_PLAIN,
    ]
    assert (request.lines[0].quantity, request.lines[0].unit_price) == ("3", "65.487611")
    assert (request.lines[1].amount_fen, request.lines[1].tax_fen) == (-965, -125)
    assert request.lines[1].rate_ppm == 130_000
    assert not request.lines[0].HasField("deduction_fen")


def test_a_red_request_names_its_original() -> None:
    [request] = fpkj.read((SAMPLES / "bad-red-special-without-notice.xml").read_bytes())

    assert request.kind == pb.INVOICE_KIND_RED
    assert (request.original.code, request.original.number) == ("031002600113", "00000001")
    assert request.red_reason == "退课"
    assert request.net_fen == -10000


def test_the_later_fields_arrive_too() -> None:
    [exempt] = fpkj.read((SAMPLES / "ok-merchant-exempt.xml").read_bytes())
    [differential] = fpkj.read((SAMPLES / "ok-dispatch-differential.xml").read_bytes())
    [listed] = fpkj.read((SAMPLES / "ok-merchant-paper-list.xml").read_bytes())

    assert exempt.lines[0].preferential
    assert exempt.lines[0].preferential_policy == "免税"
    assert exempt.lines[0].zero_rate_flag == pb.ZERO_RATE_FLAG_EXEMPT
    assert differential.lines[0].deduction_fen == 800_000
    assert listed.list_attached


def test_blanks_at_the_edges_of_a_remark_are_kept_for_the_rules_to_judge() -> None:
    [request] = fpkj.read((SAMPLES / "bad-remark-blank-edge.xml").read_bytes())

    assert request.remark == " 请尽快寄出"


@pytest.mark.parametrize(
    ("edit", "field", "rule"),
    [
        (swap("<HJJE>275.31", "<HJJE>275.311"), "COMMON_FPKJ_FPT/HJJE", "FIELD_FORMAT"),
        (swap("<HJJE>275.31", "<HJJE>"), "COMMON_FPKJ_FPT/HJJE", "FIELD_REQUIRED"),
        (swap("<HJJE>275.31</HJJE>\n", ""), "COMMON_FPKJ_FPT/HJJE", "FIELD_REQUIRED"),
        (swap("<HJSE>35.80", "<HJSE>3,580"), "COMMON_FPKJ_FPT/HJSE", "FIELD_FORMAT"),
        (swap("<JSHJ>311.11", "<JSHJ>3e2"), "COMMON_FPKJ_FPT/JSHJ", "FIELD_FORMAT"),
        (swap("<JSHJ>311.11", "<JSHJ> 311.11"), "COMMON_FPKJ_FPT/JSHJ", "FIELD_FORMAT"),
        (swap("<JSHJ>311.11", "<JSHJ>" + "9" * 14), "COMMON_FPKJ_FPT/JSHJ", "FIELD_FORMAT"),
        (swap("<JSHJ>311.11", "<JSHJ>３11.11"), "COMMON_FPKJ_FPT/JSHJ", "FIELD_FORMAT"),
        (swap("<KPLX>0", "<KPLX>2"), "COMMON_FPKJ_FPT/KPLX", "FIELD_FORMAT"),
        (swap("<KPLX>0", "<KPLX>"), "COMMON_FPKJ_FPT/KPLX", "FIELD_REQUIRED"),
        (swap("<QD_BZ>0", "<QD_BZ>2"), "COMMON_FPKJ_FPT/QD_BZ", "FIELD_FORMAT"),
        (swap("<SL>0.13", "<SL>13%"), "COMMON_FPKJ_XMXXS/COMMON_FPKJ_XMXX[1]/SL", "FIELD_FORMAT"),
        (swap("<SL>0.13", "<SL>.13"), "COMMON_FPKJ_XMXXS/COMMON_FPKJ_XMXX[1]/SL", "FIELD_FORMAT"),
        (swap("<SL>0.13", "<SL>0.1300000"), "COMMON_FPKJ_XMXXS/COMMON_FPKJ_XMXX[1]/SL", "FIELD_FORMAT"),
        (swap("<XMJE>-9.65", "<XMJE>--9.65"), "COMMON_FPKJ_XMXXS/COMMON_FPKJ_XMXX[2]/XMJE", "FIELD_FORMAT"),
        (swap("<SE>11.51", "<SE>x"), "COMMON_FPKJ_XMXXS/COMMON_FPKJ_XMXX[3]/SE", "FIELD_FORMAT"),
        (swap("<FPHXZ>2", "<FPHXZ>3"), "COMMON_FPKJ_XMXXS/COMMON_FPKJ_XMXX[1]/FPHXZ", "FIELD_FORMAT"),
        (swap("<KCE>", "<KCE>x"), "COMMON_FPKJ_XMXXS/COMMON_FPKJ_XMXX[1]/KCE", "FIELD_FORMAT"),
        (swap("<LSLBS>", "<LSLBS>4"), "COMMON_FPKJ_XMXXS/COMMON_FPKJ_XMXX[1]/LSLBS", "FIELD_FORMAT"),
        (swap("<BZ>", "<NEU>1</NEU><BZ>"), "COMMON_FPKJ_FPT/NEU", "ELEMENT_UNKNOWN"),
        (swap("<BZ>", "<NEU x='1'/><BZ>"), "COMMON_FPKJ_FPT/NEU", "ELEMENT_UNKNOWN"),
        (swap("<DW>", "<NEU><A/></NEU><DW>"), "COMMON_FPKJ_XMXXS/COMMON_FPKJ_XMXX[1]/NEU", "ELEMENT_UNKNOWN"),
        (swap("<BZ>", "<BZ>a</BZ><BZ>"), "COMMON_FPKJ_FPT/BZ", "ELEMENT_REPEATED"),
        (swap("<BZ>", "<BZ><b/>"), "COMMON_FPKJ_FPT/BZ", "FIELD_FORMAT"),
        (swap("<BZ>", "text<BZ>"), "COMMON_FPKJ_FPT", "FIELD_FORMAT"),
        (swap("<BZ>", "<BZ y='1'>"), "COMMON_FPKJ_FPT/BZ/@y", "ATTRIBUTE"),
        (swap('size="3"', 'size="4"'), "COMMON_FPKJ_XMXXS/@size", "ATTRIBUTE"),
        (swap('id="FPKJ"', 'id="FPCX"'), "business", "ELEMENT_UNKNOWN"),
        (swap('id="FPKJ"', 'id="FPKJ" mode="test"'), "business/@mode", "ATTRIBUTE"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_refused_by_its_element(edit: Edit, field: str, rule: str) -> None:
    error = refused(edit(PLAIN))

    assert (error.field, error.rule) == (field, rule)
    assert str(error).startswith(f"{field}: {rule}: ")


@pytest.mark.parametrize("part", ["REQUEST_COMMON_FPKJ", "COMMON_FPKJ_FPT", "COMMON_FPKJ_XMXXS"])
def test_a_missing_part_is_named(part: str) -> None:
    start, end = PLAIN.index(f"<{part} "), PLAIN.index(f"</{part}>")

    error = refused(PLAIN[:start] + PLAIN[end + len(part) + 3 :])

    assert (error.field, error.rule) == (part, "ELEMENT_MISSING")


def test_an_unknown_element_that_is_empty_is_passed_over() -> None:
    document = PLAIN.replace("<BZ>", "<TSCHBZ></TSCHBZ><JYZK> \n</JYZK><BZ>")

    assert fpkj.read(document.encode("gbk")) == fpkj.read(PLAIN.encode("gbk"))


def test_empty_and_missing_optional_elements_mean_the_same() -> None:
    document = PLAIN.replace("<QD_BZ>0</QD_BZ>", "").replace("<HSBZ>0</HSBZ>", "<HSBZ/>")

    assert fpkj.read(document.encode("gbk")) == fpkj.read(PLAIN.encode("gbk"))


def test_a_document_may_hold_several_requests_and_errors_say_in_which() -> None:
    start = PLAIN.index("<REQUEST_COMMON_FPKJ ")
    end = PLAIN.index("</business>")
    second = PLAIN[start:end].replace("MER00700000000000008", "second")

    both = PLAIN[:end] + second + PLAIN[end:]
    broken = PLAIN[:end] + second.replace("<SE>25.54", "<SE>x") + PLAIN[end:]

    assert [request.request_id for request in fpkj.read(both.encode("gbk"))] == [
        "MER00700000000000008",
        "second",
    ]
    assert refused(broken).field == (
        "REQUEST_COMMON_FPKJ[2]/COMMON_FPKJ_XMXXS/COMMON_FPKJ_XMXX[1]/SE"
    )


TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\n\r<>&'\"]"),
    max_size=10,
)
MONEY = st.integers(-(10**15) + 1, 10**15 - 1)
PARTIES = st.builds(pb.Party, tax_number=TEXT, name=TEXT, address_phone=TEXT, bank_account=TEXT)
MESSAGE_LINES = st.builds(
    pb.Line,
    nature=st.sampled_from([1, 2, 3]),
    name=TEXT,
    unit=TEXT,
    specification=TEXT,
    quantity=TEXT,
    unit_price=TEXT,
    amount_fen=MONEY,
    tax_fen=MONEY,
    rate_ppm=st.integers(0, 9_999_999),
    classification_code=TEXT,
    own_code=TEXT,
    preferential=st.booleans(),
    preferential_policy=TEXT,
    zero_rate_flag=st.sampled_from([0, 1, 2, 3, 4]),
    deduction_fen=st.none() | MONEY,
    tax_inclusive=st.booleans(),
)
REQUESTS = st.builds(
    IssueInvoiceRequest,
    request_id=TEXT,
    kind=st.sampled_from([1, 2]),
    type=TEXT,
    seller=PARTIES,
    buyer=PARTIES,
    lines=st.lists(MESSAGE_LINES, max_size=3),
    net_fen=MONEY,
    tax_fen=MONEY,
    gross_fen=MONEY,
    clerk=TEXT,
    payee=TEXT,
    reviewer=TEXT,
    remark=TEXT,
    original=st.none() | st.builds(pb.OriginalInvoice, code=TEXT, number=TEXT),
    red_notice_number=TEXT,
    red_reason=TEXT,
    list_attached=st.booleans(),
    code_table_version=TEXT,
)


@given(REQUESTS)
@settings(max_examples=60)
def test_a_request_survives_the_way_through_xml(request_: IssueInvoiceRequest) -> None:
    [read] = fpkj.read(fpkj.write(request_), point=9)

    # XML cannot tell an empty sub-message from none, and FPKJ names no point.
    expected = IssueInvoiceRequest()
    expected.CopyFrom(request_)
    expected.point = f"taxpayers/{request_.seller.tax_number}/points/9"
    for name in ("seller", "buyer", "original"):
        if expected.HasField(name) and getattr(expected, name).ByteSize() == 0:
            expected.ClearField(name)
    assert read == expected


def test_every_field_of_our_message_has_its_element() -> None:
    header = {field.path.split(".")[0] for field in HEADER}
    line = {field.path for field in LINE}

    # The point is the caller's, lines have their own table, and FPKJ knows neither priorities nor
    # donations.
    assert header == {field.name for field in IssueInvoiceRequest.DESCRIPTOR.fields} - {
        "point",
        "lines",
        "priority",
        "donation_project",
    }
    assert line == {field.name for field in pb.Line.DESCRIPTOR.fields}
    assert {field.path for field in HEADER if field.path.startswith("buyer.")} == {
        f"buyer.{field.name}" for field in pb.Party.DESCRIPTOR.fields
    }


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (IssueInvoiceRequest(), "COMMON_FPKJ_FPT/KPLX"),
        (IssueInvoiceRequest(kind=BLUE, remark="\x01"), "COMMON_FPKJ_FPT/BZ"),
        (IssueInvoiceRequest(kind=BLUE, net_fen=10**15), "COMMON_FPKJ_FPT/HJJE"),
        (
            IssueInvoiceRequest(
                kind=BLUE,
                lines=[
                    pb.Line(nature=pb.Line.NATURE_PLAIN),
                    pb.Line(nature=pb.Line.NATURE_PLAIN, rate_ppm=-1),
                ],
            ),
            "COMMON_FPKJ_XMXXS/COMMON_FPKJ_XMXX[2]/SL",
        ),
        (
            IssueInvoiceRequest(kind=BLUE, lines=[pb.Line()]),
            "COMMON_FPKJ_XMXXS/COMMON_FPKJ_XMXX[1]/FPHXZ",
        ),
    ],
)
def test_what_has_no_spelling_in_fpkj_is_refused_by_its_element(
    request_: IssueInvoiceRequest, field: str
) -> None:
    with pytest.raises(fpkj.FpkjError) as raised:
        fpkj.write(request_)

    assert (raised.value.field, raised.value.rule) == (field, "FIELD_FORMAT")


def test_a_donation_receipt_is_refused_rather_than_written_without_its_project() -> None:
    with pytest.raises(fpkj.FpkjError) as raised:
        fpkj.write(IssueInvoiceRequest(kind=BLUE, donation_project="山区小学图书角"))

    assert (raised.value.field, raised.value.rule) == ("donation_project", "FIELD_NOT_ALLOWED")


def test_a_document_that_could_not_be_read_back_is_not_written() -> None:
    with pytest.raises(fpkj.FpkjError, match="DOCUMENT_TOO_LARGE"):
        fpkj.write(IssueInvoiceRequest(kind=BLUE, remark="x" * 2_097_152))


@given(st.integers(-(10**15) + 1, 10**15 - 1))
def test_yuan_and_fen_are_exact(fen: int) -> None:
    from fpkj.fields import fen as read_fen
    from fpkj.fields import yuan

    assert read_fen(yuan(fen)) == fen
    assert read_fen(yuan(fen).rstrip("0").rstrip(".") or "0") == fen


@given(st.integers(0, 9_999_999))
def test_rates_and_ppm_are_exact(value: int) -> None:
    from fpkj.fields import ppm, rate

    assert ppm(rate(value)) == value
