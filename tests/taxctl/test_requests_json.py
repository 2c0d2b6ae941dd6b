"""Requests in JSON: every form of the contract's JSON is read, and whatever is wrong is named."""

import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st

from taxcontrol.v1 import invoice_pb2 as pb
from taxcontrol.v1.invoice_service_pb2 import IssueInvoiceRequest
from taxctl.requests_json import NotRequests, looks_like_json, read

TAX_NUMBER = "91110000AYTLHUJ0ET"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INT64 = st.integers(-(2**63), 2**63 - 1)


@st.composite
def requests(draw: st.DrawFn) -> IssueInvoiceRequest:
    """Any request, sensible or not."""
    line = st.builds(
        pb.Line,
        nature=st.sampled_from([value for _, value in pb.Line.Nature.items()]),
        name=TEXT,
        quantity=TEXT,
        amount_fen=INT64,
        rate_ppm=st.integers(-(2**31), 2**31 - 1),
        preferential=st.booleans(),
        deduction_fen=st.none() | INT64,
    )
    return IssueInvoiceRequest(
        point=draw(st.text("ab/", min_size=1)),
        request_id=draw(TEXT),
        kind=draw(st.sampled_from([value for _, value in pb.InvoiceKind.items()])),
        seller=draw(st.none() | st.builds(pb.Party, tax_number=TEXT, name=TEXT)),
        lines=draw(st.lists(line, max_size=3)),
        net_fen=draw(INT64),
        list_attached=draw(st.booleans()),
        original=draw(st.none() | st.builds(pb.OriginalInvoice, number=TEXT)),
        donation_project=draw(TEXT),
    )


@given(request=requests(), snake=st.booleans(), defaults=st.booleans())
def test_what_the_contract_writes_is_read_back(
    request: IssueInvoiceRequest, snake: bool, defaults: bool
) -> None:
    written = MessageToDict(
        request,
        preserving_proto_field_name=snake,
        always_print_fields_with_no_presence=defaults,
    )

    [placed] = read(json.dumps(written).encode(), point=0)

    assert placed.request == request


@pytest.mark.parametrize(
    ("data", "places"),
    [
        (b'{"request_id": "a"}', [""]),
        (b'\xef\xbb\xbf \n{"request_id": "a"}\n', [""]),
        (b'[{"request_id": "a"}]', ["[0]"]),
        (b'[{"requestId": "a"}, {"request_id": "b"}]', ["[0]", "[1]"]),
        (b'{"request_id": "a"}\n\n{"request_id": "b"}\n', ["line 1", "line 3"]),
        (b'{\n "request_id": "a"\n}\n{\n "request_id": "b"\n}', ["line 1", "line 4"]),
    ],
)
def test_one_many_and_lines(data: bytes, places: list[str]) -> None:
    found = read(data, point=0)

    assert looks_like_json(data)
    assert [one.place for one in found] == places
    assert [one.request.request_id for one in found] == ["a", "b"][: len(places)]


def test_the_point_of_the_file_comes_first() -> None:
    own = {"point": "taxpayers/T/points/7", "seller": {"tax_number": TAX_NUMBER}}
    none = {"seller": {"tax_number": TAX_NUMBER}}

    found = read(json.dumps([own, none, {}]).encode(), point=3)

    assert [one.request.point for one in found] == [
        "taxpayers/T/points/7",
        f"taxpayers/{TAX_NUMBER}/points/3",
        "",  # the gateway names what is missing
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"colour": "red"}, "colour: FIELD_UNKNOWN: is no field of IssueInvoiceRequest"),
        ({"lines": [{}, {"colour": 1}]}, "lines[1].colour: FIELD_UNKNOWN: is no field of Line"),
        ({"net_fen": 1, "netFen": 2}, "netFen: FIELD_REPEATED: stands there as net_fen as well"),
        ({"net_fen": 1.5}, "net_fen: FIELD_FORMAT: must be a whole number, not a number (1.5)"),
        ({"net_fen": "12.00"}, "net_fen: FIELD_FORMAT: must be a whole number"),
        ({"net_fen": "１"}, "net_fen: FIELD_FORMAT: must be a whole number"),
        ({"net_fen": "1_0"}, "net_fen: FIELD_FORMAT: must be a whole number"),
        ({"net_fen": ""}, "net_fen: FIELD_FORMAT: must be a whole number"),
        ({"net_fen": True}, "net_fen: FIELD_FORMAT: must be a whole number, not true"),
        ({"net_fen": 2**63}, "net_fen: FIELD_FORMAT: must fit 64 bits"),
        ({"net_fen": 1e300}, "net_fen: FIELD_FORMAT: must be a whole number"),
        ({"lines": [{"ratePpm": 2**31}]}, "lines[0].rate_ppm: FIELD_FORMAT: must fit 32 bits"),
        ({"type": 26}, "type: FIELD_FORMAT: must be a text in quotes, not a number"),
        ({"seller": {"name": "\ud800"}}, "seller.name: FIELD_FORMAT: holds half of a character"),
        ({"seller": "x"}, "seller: FIELD_FORMAT: must be an object, not a text"),
        ({"lines": {}}, "lines: FIELD_FORMAT: must be a list, not an object"),
        ({"lines": [None]}, "lines[0]: FIELD_FORMAT: must be an object, not null"),
        ({"kind": "RED"}, "kind: FIELD_FORMAT: must be one of INVOICE_KIND_UNSPECIFIED, "),
        ({"kind": 77}, "kind: FIELD_FORMAT: must be one of"),
        ({"list_attached": "true"}, "list_attached: FIELD_FORMAT: must be true or false"),
        ([{}, 3], "[1]: FIELD_FORMAT: must be an object, not a number"),
        ([{}, {"clerk": 1}], "[1].clerk: FIELD_FORMAT: must be a text in quotes"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(value: Any, said: str) -> None:
    with pytest.raises(NotRequests) as caught:
        read(json.dumps(value).encode(), point=0)

    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{", "line 1 column 2: JSON_MALFORMED"),
        (b'{"a": 1,\n  "b" 2}', "line 2 column 7: JSON_MALFORMED"),
        (b'{"clerk": "a"}\n{"clerk": }', "line 2 column 11: JSON_MALFORMED"),
        (b'{"clerk": "a"}\n{"clerk": 1}', "line 2: clerk: FIELD_FORMAT"),
        (b'{"clerk": "a", "clerk": "b"}', "clerk: FIELD_REPEATED: stands there twice"),
        (b'{"net_fen": NaN}', "line 1: JSON_MALFORMED: NaN is no JSON"),
        (b'{"net_fen": ' + b"9" * 5000 + b"}", "line 1: JSON_MALFORMED"),
        (b'{"clerk": "\xff"}', "ENCODING: byte 11 is not UTF-8"),
        (b"[" * 200_000, "line 1: JSON_MALFORMED: nested too deeply"),
        (b"[]", "ELEMENT_MISSING: no request in the document"),
        (b"{} []", "line 1: FIELD_FORMAT: must be an object, not a list"),
    ],
)
def test_a_document_that_cannot_be_read_says_where(data: bytes, said: str) -> None:
    with pytest.raises(NotRequests) as caught:
        read(data, point=0)

    assert str(caught.value).startswith(said)


def test_all_that_is_wrong_is_named_at_once_and_nothing_is_taken() -> None:
    value = [{"clerk": 1, "lines": [{"tax_fen": "x"}]}, {"request_id": "good"}, {"colour": 1}]

    with pytest.raises(NotRequests) as caught:
        read(json.dumps(value).encode(), point=0)

    for place in ("[0].clerk: ", "[0].lines[0].tax_fen: ", "[2].colour: "):
        assert place in str(caught.value)


def test_very_much_that_is_wrong_is_counted() -> None:
    with pytest.raises(NotRequests, match=r"; and 90 more$"):
        read(json.dumps([{"clerk": 1}] * 100).encode(), point=0)


@pytest.mark.parametrize("data", [b"", b"<x/>", b"  \xef\xbb\xbf{", b"null", b"\x00[", b"3"])
def test_the_rest_is_not_taken_for_json(data: bytes) -> None:
    assert not looks_like_json(data)
