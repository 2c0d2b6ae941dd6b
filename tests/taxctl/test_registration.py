"""Taxpayers are read from JSON exactly, and whatever is wrong is named with its place."""

import json
from decimal import Decimal
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st

from sandbox.layout import SAMPLES
from taxcontrol.admin.v1.taxpayer_pb2 import TypeGrant
from taxctl.registration import NotATaxpayer, taxpayers

GOOD: dict[str, Any] = {
    "key": "shop",
    "tax_no": "91530100WWWDWGCXHG",
    "name": "示例商贸",
    "addr": "昆明市 0871-0000003",
    "bank": "示例银行",
    "types": ["026", "007"],
    "rates": ["0.13", "0"],
    "limit": "10000.00",
    "points": ["0", "1"],
}


def encoded(**changes: object) -> bytes:
    """GOOD with changes; a change to None takes the key out."""
    kept = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    return json.dumps(kept).encode()


def test_the_samples_are_read() -> None:
    found = taxpayers((SAMPLES / "taxpayers.json").read_bytes())

    assert [len(one.points) for one in found] == [3, 1, 2, 1]
    railway = found[0]
    assert railway.display_name == "示例铁路局集团有限公司"
    assert list(railway.type_grants[0].rates_ppm) == [90_000, 60_000, 0]
    assert railway.type_grants[0].invoice_limit_fen == 10_000_000


def test_one_object_is_a_list_of_one_and_bank_may_be_missing() -> None:
    [one] = taxpayers(encoded(bank=None, key=None))

    assert one.bank_account == ""
    assert [grant.type for grant in one.type_grants] == ["026", "007"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "the list is empty"),
        (b"3", "the document must be an object"),
        (b"[3]", "[0] must be an object"),
        (encoded(tax_no=None), "tax_no is missing"),
        (encoded(colour="red"), "colour is not known"),
        (encoded(name=7), "name must be a text in quotes"),
        (encoded(name="\ud800"), "name: "),
        (encoded(types="026"), "types must be a list of texts"),
        (encoded(types=[26]), "types[0] must be a text in quotes"),
        (encoded(rates=["0.13", "13 %"]), "rates[1]: must be a rate such as 0.13"),
        (encoded(rates=["0.1234567"]), "rates[0]: must be a rate"),
        (encoded(limit="10.001"), "limit: must be yuan"),
        (encoded(limit="1e30"), "limit: must be yuan"),
        (encoded(limit="NaN"), "limit: must be yuan"),
        (encoded(limit="Infinity"), "limit: must be yuan"),
        (encoded(limit="１０"), "limit: must be yuan"),
        (encoded(points=["0.5"]), "points[0]: must be a whole number"),
        (encoded(types=["D01", "026"], limit=None), "limit is missing"),
        (encoded(rates=None), "rates is missing"),
        (b'{"tax_no": "x", "tax_no": "y"}', "tax_no stands there twice"),
        (b'{"tax_no": NaN}', "not JSON"),
        (b'[{"taxNumber": 5, "colour": ""}]', "[0].tax_number: FIELD_FORMAT: must be a text"),
        (b'[{"taxNumber": "x", "colour": ""}]', "[0].colour: FIELD_UNKNOWN"),
        (
            b'{"tax_number": "x", "type_grants": [{"rates_ppm": [60000, "6 %"]}]}',
            "type_grants[0].rates_ppm[1]: FIELD_FORMAT: must be a whole number",
        ),
        (b"[" + encoded() + b"," + encoded(limit="x") + b"]", "[1].limit: must be yuan"),
    ],
)
def test_what_is_wrong_is_named(data: bytes, said: str) -> None:
    with pytest.raises(NotATaxpayer) as caught:
        taxpayers(data)

    assert said in str(caught.value)


def test_donation_receipts_have_no_limit_and_need_no_rate() -> None:
    [bare] = taxpayers(encoded(types=["D01"], rates=None, limit=None))
    [stated] = taxpayers(encoded(types=["D01"], rates=["0"], limit="5.00"))

    # One request id is bound to either, so they must be the same registration.
    assert bare == stated
    assert bare.type_grants == [TypeGrant(type="D01")]


@pytest.mark.parametrize("preserving", [True, False])
def test_the_contracts_own_json_is_read_back(preserving: bool) -> None:
    written = [
        MessageToDict(one, preserving_proto_field_name=preserving)
        for one in taxpayers((SAMPLES / "taxpayers.json").read_bytes())
    ]

    assert taxpayers(json.dumps(written).encode()) == taxpayers(
        (SAMPLES / "taxpayers.json").read_bytes()
    )


def test_what_only_answers_have_is_passed_over() -> None:
    [one] = taxpayers(encoded())
    [shown] = taxpayers(encoded())
    shown.version = 3
    shown.windows.add(period_ms=1000, call_count_max=10)
    shown.devices.add(certificate=b"DER")
    shown.registration_time.GetCurrentTime()
    shown.offline_limits.age_hours_max = 72

    for preserving in (True, False):
        answer = MessageToDict(shown, preserving_proto_field_name=preserving)
        assert taxpayers(json.dumps(answer).encode()) == [one]


@given(st.integers(0, 10**12))
def test_a_limit_is_read_to_the_fen(fen: int) -> None:
    [one] = taxpayers(encoded(limit=str(Decimal(fen) / 100)))

    assert one.type_grants[0].invoice_limit_fen == fen
