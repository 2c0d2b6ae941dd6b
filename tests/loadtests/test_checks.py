"""A right answer of every type passes the callers' checks, and each planted fault is found."""

from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import checks
from loadtests.papers import merged
from sandbox.invoices import Counter, request
from taxcontrol.v1.invoice_pb2 import IssuedInvoice
from tests.loadtests.device import MACHINE, Device
from tests.sandbox.places import PLACES

DEVICE = Device()
REQUEST = request(PLACES[0], 1, request_id="r-1")
BLUE = DEVICE.issue(REQUEST)


@given(place=st.sampled_from(PLACES), n=st.integers(0, 1000))
def test_a_right_answer_of_any_type_has_no_fault(place: Counter, n: int) -> None:
    wanted = request(place, n, request_id=f"r-{n}")
    digital = place.grant.type in {"081", "082"}
    issued = DEVICE.issue(wanted, code="" if digital else "011002600111")

    assert checks.issued_faults(wanted, issued) == []
    assert checks.signature_faults(checks.INVOICE, issued, DEVICE.certificate) == []


def test_a_merged_invoice_is_checked_line_by_line() -> None:
    orders = [request(PLACES[0], n, request_id="r") for n in range(4)]
    wanted = merged(orders)
    issued = DEVICE.issue(wanted)
    faults_of_less = checks.issued_faults(merged(orders[:3]), issued)

    assert checks.issued_faults(wanted, issued) == []
    assert [fault.split()[0] for fault in faults_of_less] == [
        *("gross_fen", "lines", "net_fen", "tax_fen")
    ]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("gross_fen", 1),
        ("clerk", "别人"),
        ("point", 7),
        ("taxpayer", "91110000AYTLHUJ0EU"),
        ("kind", "red"),
        ("type", "004"),
        ("remark", "多余"),
        ("device", "539900000009"),
        ("number", "00000009"),
        ("code", "011002600112"),
    ],
)
def test_content_that_says_something_else_is_found(member: str, value: str | int) -> None:
    said = orjson.loads(BLUE.content)
    said[member] = value
    planted = IssuedInvoice()
    planted.CopyFrom(BLUE)
    planted.content = orjson.dumps(said)

    assert checks.issued_faults(REQUEST, planted)


def test_a_changed_line_is_found() -> None:
    said = orjson.loads(BLUE.content)
    said["lines"][1]["quantity"] = "99"
    planted = DEVICE.answer(orjson.dumps(said), request_id="r-1")

    [fault] = checks.issued_faults(REQUEST, planted)

    assert fault.startswith("lines is")


def test_the_answer_to_somebody_elses_request_is_found() -> None:
    other = DEVICE.answer(BLUE.content, request_id="r-2")

    assert checks.issued_faults(REQUEST, other) == ["request_id is 'r-2', not 'r-1'"]


def test_a_statement_does_not_pass_for_an_invoice() -> None:
    statement = DEVICE.void(BLUE, request_id="v", reason="错")
    planted = IssuedInvoice(request_id="r-1", content=statement.content)

    assert checks.issued_faults(REQUEST, planted)


def _of_another_key(issued: IssuedInvoice) -> None:
    issued.signature = Device().sign(checks.INVOICE, issued.content)


def _with_another_tag(issued: IssuedInvoice) -> None:
    issued.signature = DEVICE.sign(checks.VOID, issued.content)


def _cut_short(issued: IssuedInvoice) -> None:
    issued.signature = issued.signature[:40]


def _one_bit_of_content(issued: IssuedInvoice) -> None:
    issued.content = issued.content[:-2] + bytes([issued.content[-2] ^ 1]) + issued.content[-1:]


@pytest.mark.parametrize(
    "plant", [_of_another_key, _with_another_tag, _cut_short, _one_bit_of_content]
)
def test_a_wrong_signature_is_found(plant: Callable[[IssuedInvoice], None]) -> None:
    planted = IssuedInvoice()
    planted.CopyFrom(BLUE)
    plant(planted)

    assert checks.signature_faults(checks.INVOICE, planted, DEVICE.certificate) == [
        "the signature of k1 does not fit the content"
    ]


def test_a_key_of_another_device_is_found() -> None:
    other = Device("539900000009")

    [fault] = checks.signature_faults(checks.INVOICE, BLUE, other.certificate)

    assert fault == f"the certificate is of ['539900000009'], the device is {MACHINE}"


def test_a_red_is_the_opposite_of_its_blue() -> None:
    assert checks.red_faults(BLUE, DEVICE.red(BLUE, request_id="x"), request_id="x") == []


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "blue"},
        {"gross_fen": -1},
        {"original": {"code": "011002600111", "number": "00000009"}},
        {"buyer": {"name": "别人"}},
        {"lines": []},
    ],
)
def test_a_red_of_something_else_is_found(changed: dict[str, object]) -> None:
    red = DEVICE.red(BLUE, request_id="x", **changed)

    assert checks.red_faults(BLUE, red, request_id="x")


def test_a_void_is_of_the_invoice_and_for_the_reason_that_were_named() -> None:
    other = DEVICE.issue(request(PLACES[0], 2, request_id="r-3"), number="00000003")
    void = DEVICE.void(BLUE, request_id="v", reason="错")

    assert checks.void_faults(BLUE, void, request_id="v", reason="错") == []
    assert checks.signature_faults(checks.VOID, void, DEVICE.certificate) == []
    assert checks.void_faults(other, void, request_id="v", reason="错")
    assert checks.void_faults(BLUE, void, request_id="w", reason="错")
    assert checks.void_faults(BLUE, void, request_id="v", reason="别")


def test_a_blank_void_is_of_the_number_that_was_named() -> None:
    blank = DEVICE.blank("00000005", request_id="b", reason="坏")
    asked = {"code": "011002600111", "request_id": "b", "reason": "坏"}

    assert checks.blank_void_faults(blank, number="00000005", **asked) == []
    assert checks.blank_void_faults(blank, number="00000006", **asked)
    assert checks.signature_faults(checks.BLANK_VOID, blank, DEVICE.certificate) == []
    assert checks.signature_faults(checks.VOID, blank, DEVICE.certificate)


def test_a_replay_is_the_same_bytes_and_says_so() -> None:
    assert checks.replay_faults(BLUE, BLUE, replayed=True) == []
    assert checks.replay_faults(BLUE, BLUE, replayed=False)
    assert checks.replay_faults(BLUE, DEVICE.issue(REQUEST, number="00000002"), replayed=True)
