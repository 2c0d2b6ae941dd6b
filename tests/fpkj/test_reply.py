"""The reply is GBK XML in the interface's own names, for invoices and for refusals."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from fpkj import reply
from fpkj.document import Element, parse
from taxcontrol.v1 import invoice_pb2 as pb

ISSUED = pb.IssuedInvoice(
    request_id="MER1",
    type="026",
    code="053002600111",
    number="00000001",
    machine_number="661234567890",
    issue_time=Timestamp(seconds=1_795_322_460),
    check_code="1" * 20,
    fiscal_code="<>" * 56,
    qr_text="01,10,053002600111,00000001,284.96,20261122,,ABCD",
)


def fields(data: bytes) -> dict[str, str]:
    root = parse(data)
    assert (root.tag, root.attributes["id"]) == ("business", "FPKJ")
    [response] = root.children
    assert response.tag == "RESPONSE_COMMON_FPKJ"
    return {child.tag: child.text for child in response.children}


def test_an_issued_invoice_is_answered_with_everything_it_has() -> None:
    data = reply(ISSUED, request_id="MER1")

    assert data.startswith(b'<?xml version="1.0" encoding="gbk"?>')
    assert fields(data) == {
        "FPQQLSH": "MER1",
        "JQBH": "661234567890",
        "FP_DM": "053002600111",
        "FP_HM": "00000001",
        "KPRQ": "20261122124100",
        "FP_MW": "<>" * 56,
        "JYM": "1" * 20,
        "EWM": "01,10,053002600111,00000001,284.96,20261122,,ABCD",
        "RETURNCODE": "0000",
        "RETURNMSG": "",
    }


@pytest.mark.parametrize(
    ("message", "written"),
    [
        ("购买方名称 must be filled", "购买方名称 must be filled"),
        ("a < b & c", "a < b & c"),
        ("outside GBK: €😀", "outside GBK: €😀"),
        ("control \x00\x1b here", "control \ufffd\ufffd here"),
        ("half \ud800", "half \ufffd"),
    ],
)
def test_a_refusal_is_answered_with_its_sentence(message: str, written: str) -> None:
    assert fields(reply(message, request_id="MER2")) == {
        "FPQQLSH": "MER2",
        "RETURNCODE": "9999",
        "RETURNMSG": written,
    }


def test_a_request_id_cannot_break_out_of_its_element() -> None:
    written = fields(reply("no", request_id="</FPQQLSH><RETURNCODE>0000</RETURNCODE>"))

    assert written["RETURNCODE"] == "9999"


def test_elements_hold_text_only() -> None:
    root: Element = parse(reply(ISSUED, request_id="x"))

    assert not [child for child in root.children[0].children if child.children]
