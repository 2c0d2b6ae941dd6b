"""Every row of ``verdicts.csv`` over the real RPC: its verdict, its field, and what an ACCEPT means.

What makes an invoice valid is computed here once more, from the published rules alone: signature,
certificate, check code, fiscal code, QR text with its checksum.
"""

import csv
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID

import fpkj
from taxcontrol.v1 import invoice_pb2
from tests.e2e.conftest import System
from tests.e2e.platform import Platform
from tests.e2e.sellers import SAMPLES, IssueInvoiceRequest
from tests.e2e.wire import Refusal, eventually, refusal_of, refused

with (SAMPLES / "verdicts.csv").open(encoding="utf-8", newline="") as table:
    ROWS = list(csv.DictReader(table))
ACCEPTED = [row for row in ROWS if row["verdict"] == "ACCEPT"]
REFUSED = [row for row in ROWS if row["verdict"] != "ACCEPT"]
SPECIAL = {"004", "028"}
QR_KINDS = {"004": "01", "007": "04", "025": "11", "026": "10", "028": "08"}
SHANGHAI = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What each file got, and how much stock the refused ones took in all."""

    issued: dict[str, invoice_pb2.IssuedInvoice]
    refusals: dict[str, Refusal]
    taken_by_refused: int


@pytest.fixture(scope="module")
def outcomes(system: System) -> Outcomes:
    """Issue the refused ones first and then the accepted ones, as a platform would."""
    before = _stock(system)
    refusals: dict[str, Refusal] = {}
    for row in REFUSED:
        try:
            system.platform.issue(_request(row["file"]))
        except grpc.RpcError as error:
            refusals[row["file"]] = refusal_of(error)
    taken = before - _stock(system)
    issued = {row["file"]: system.platform.issue(_request(row["file"])) for row in ACCEPTED}
    return Outcomes(issued, refusals, taken)


def test_there_are_41_rows_of_which_13_are_accepted() -> None:
    assert (len(ROWS), len(ACCEPTED)) == (41, 13)


@pytest.mark.parametrize("file", [row["file"] for row in ACCEPTED])
def test_an_accepted_sample_is_numbered_and_signed_under_a_certificate_of_the_authority(
    file: str, outcomes: Outcomes, system: System
) -> None:
    issued = outcomes.issued[file]
    invoice = system.platform.get(name=issued.name)
    certificate = x509.load_der_x509_certificate(invoice.certificate)
    authority = x509.load_pem_x509_certificate((system.simulator.store / "ca.pem").read_bytes())

    assert re.fullmatch(r"[0-9]{10}|[0-9]{12}", issued.code)
    assert re.fullmatch(r"[0-9]{8}", issued.number)
    assert invoice.issued == issued
    certificate.verify_directly_issued_by(authority)
    [common_name] = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert common_name.value == issued.machine_number
    assert issued.signature_algorithm == "P-256"
    _verify(certificate, issued.content, issued.signature)


@pytest.mark.parametrize("file", [row["file"] for row in ACCEPTED])
def test_the_signed_content_says_what_was_asked(file: str, outcomes: Outcomes) -> None:
    request, issued = _request(file), outcomes.issued[file]
    content = json.loads(issued.content)
    issue_time = datetime.fromisoformat(content["issue_time"])

    assert content["schema"] == "taxcontrol.invoice.v1"
    assert (content["device"], content["code"], content["number"]) == (
        issued.machine_number,
        issued.code,
        issued.number,
    )
    assert issue_time == issued.issue_time.ToDatetime(tzinfo=UTC)
    assert issue_time.utcoffset() == timedelta(hours=8)
    assert content["type"] == request.type == issued.type
    assert content["buyer"]["name"] == request.buyer.name
    assert [line["amount_fen"] for line in content["lines"]] == [
        line.amount_fen for line in request.lines
    ]
    assert (content["net_fen"], content["tax_fen"], content["gross_fen"]) == (
        request.net_fen,
        request.tax_fen,
        request.gross_fen,
    )


@pytest.mark.parametrize("file", [row["file"] for row in ACCEPTED])
def test_the_marks_follow_from_the_signature(file: str, outcomes: Outcomes) -> None:
    issued = outcomes.issued[file]
    digest = int.from_bytes(hashlib.sha256(b"check" + issued.signature).digest(), "big")
    fiscal = hashlib.sha512(b"fiscal" + issued.signature).hexdigest()[:112]
    *stated, crc = issued.qr_text.split(",")
    net = Decimal(json.loads(issued.content)["net_fen"]) / 100
    day = issued.issue_time.ToDatetime(tzinfo=UTC).astimezone(SHANGHAI)

    assert issued.check_code == ("" if issued.type in SPECIAL else f"{digest % 10**20:020}")
    assert issued.fiscal_code == fiscal.translate(str.maketrans("abcdef", "+-*/<>"))
    assert stated == [
        "01",
        QR_KINDS[issued.type],
        issued.code,
        issued.number,
        f"{net:.2f}",
        f"{day:%Y%m%d}",
        issued.check_code,
    ]
    assert crc == f"{_crc16(issued.qr_text.removesuffix(crc).encode()):04X}"


@pytest.mark.parametrize("file", [row["file"] for row in ACCEPTED])
def test_an_accepted_sample_reaches_the_authority(
    file: str, outcomes: Outcomes, system: System
) -> None:
    issued = outcomes.issued[file]

    eventually(lambda: _upload_state(system.platform, issued.name) == "UPLOAD_STATE_ACCEPTED")

    [event] = [
        event
        for event in system.simulator.events()
        if (event.result.code, event.result.number) == (issued.code, issued.number)
    ]
    assert event.content_digest == hashlib.sha256(issued.content).digest()
    assert event.signature_digest == hashlib.sha256(issued.signature).digest()


@pytest.mark.parametrize("row", REFUSED, ids=[row["file"] for row in REFUSED])
def test_a_refused_sample_names_the_rule_and_the_field(
    row: dict[str, str], outcomes: Outcomes
) -> None:
    refusal = outcomes.refusals[row["file"]]
    named = {(rule, re.sub("_(fen|ppm)$", "", field)) for rule, field in refusal.violations}

    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_INVOICE",
    )
    assert (row["verdict"], row["field"]) in named


@pytest.mark.parametrize("row", REFUSED, ids=[row["file"] for row in REFUSED])
def test_a_refused_sample_leaves_its_id_free(
    row: dict[str, str], outcomes: Outcomes, platform: Platform
) -> None:
    request_id = _request(row["file"]).request_id

    with refused("INVOICE_NOT_FOUND", grpc.StatusCode.NOT_FOUND) as found:
        platform.get(request_id=request_id)

    assert found[0].facts == {"request_id": request_id}


def test_refused_samples_take_no_number(outcomes: Outcomes) -> None:
    assert len(outcomes.refusals) == len(REFUSED)
    assert outcomes.taken_by_refused == 0


def test_everything_wrong_is_named_at_once(platform: Platform) -> None:
    request = _request("fpkj/ok-merchant-discount.xml")
    request.request_id = "several-faults"
    request.buyer.name = ""
    request.clerk = ""
    request.remark = " 备注"
    request.gross_fen += 1
    request.lines[0].classification_code = "1"
    request.lines[0].rate_ppm = 170_000

    with refused("INVALID_INVOICE") as found:
        platform.issue(request)

    assert {
        ("FIELD_REQUIRED", "buyer.name"),
        ("FIELD_REQUIRED", "clerk"),
        ("REMARK_FORBIDDEN", "remark"),
        ("TOTAL_MISMATCH", "gross_fen"),
        ("CLASSIFICATION_CODE", "lines[0].classification_code"),
        ("RATE_NOT_AUTHORISED", "lines[0].rate_ppm"),
    } <= found[0].violations


def _request(file: str) -> IssueInvoiceRequest:
    [request] = fpkj.read((SAMPLES / file).read_bytes())
    return request


def _stock(system: System) -> int:
    return sum(
        system.platform.available(seller, type_, point)
        for seller in system.samples
        for type_ in seller.types
        for point in seller.points
    )


def _upload_state(platform: Platform, name: str) -> str:
    return invoice_pb2.Invoice.UploadState.Name(platform.get(name=name).upload_state)


def _verify(certificate: x509.Certificate, content: bytes, signature: bytes) -> None:
    """Raise ``InvalidSignature`` unless the content was signed under the certificate."""
    public = certificate.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    public.verify(
        utils.encode_dss_signature(r, s),
        b"taxcontrol.invoice.v1\x00" + content,
        ec.ECDSA(hashes.SHA256()),
    )


def _crc16(data: bytes) -> int:
    """CRC-16, polynomial 0x8005, start 0, bit by bit."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ (0x8005 if crc & 0x8000 else 0)
            crc &= 0xFFFF
    return crc
