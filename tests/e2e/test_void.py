"""Voids over the wire: one signed statement however often it is asked for, and uploaded in its turn."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from taxcontrol.v1 import invoice_pb2
from tests.e2e.conftest import System
from tests.e2e.platform import Platform
from tests.e2e.reds import red_of, void_of
from tests.e2e.sellers import Seller, ticket
from tests.e2e.wire import eventually, refusal_of, refused
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess

State = invoice_pb2.Invoice.State
Upload = invoice_pb2.Invoice.UploadState


def test_a_void_is_signed_and_reaches_the_authority(system: System) -> None:
    platform = system.platform
    seller = platform.new_seller("026", stock=5)
    issued = platform.issue(ticket(seller))
    answer = platform.invoices.VoidInvoice(void_of(issued))
    eventually(lambda: platform.drained(seller))

    invoice = platform.get(name=issued.name)
    statement = answer.void_statement
    content = json.loads(statement.content)
    assert invoice.state == State.STATE_VOIDED
    assert invoice.void_statement == statement
    assert invoice.upload_state == Upload.UPLOAD_STATE_ACCEPTED
    assert content["invoice_digest"] == hashlib.sha256(issued.content).hexdigest()
    assert (content["code"], content["number"]) == (issued.code, issued.number)
    _verify(invoice.void_certificate, statement)
    events = system.simulator.events(seller.tax_number)
    assert [event.result.number for event in events] == [issued.number] * 2
    assert events[1].content_digest == hashlib.sha256(statement.content).digest()


def test_a_hundred_callers_with_one_id_get_the_same_statement(
    platform: Platform, seller: Seller
) -> None:
    request = void_of(platform.issue(ticket(seller)))

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: platform.invoices.VoidInvoice(request), range(100)))

    assert len({one.void_statement.SerializeToString() for one in answers}) == 1
    assert sum(not one.replayed for one in answers) == 1


def test_another_reason_is_another_request(platform: Platform, seller: Seller) -> None:
    request = void_of(platform.issue(ticket(seller)))
    platform.invoices.VoidInvoice(request)
    request.reason = "买方要求"

    with refused("REQUEST_ID_REUSED", grpc.StatusCode.ALREADY_EXISTS) as found:
        platform.invoices.VoidInvoice(request)

    assert found[0].facts["fields"] == "reason"


def test_a_void_without_a_reason_is_refused(platform: Platform, seller: Seller) -> None:
    request = void_of(platform.issue(ticket(seller)))
    request.reason = ""

    with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as found:
        platform.invoices.VoidInvoice(request)

    assert found[0].violations == {("FIELD_REQUIRED", "reason")}


def test_of_voids_and_a_red_at_once_one_wins(platform: Platform, seller: Seller) -> None:
    blue = platform.issue(ticket(seller))

    def attempt(at: int) -> str:
        try:
            if at == 1:
                platform.issue(red_of(seller, blue))
            else:
                platform.invoices.VoidInvoice(void_of(blue))
        except grpc.RpcError as error:
            return refusal_of(error).reason
        return "DONE"

    with ThreadPoolExecutor(3) as pool:
        answers = sorted(pool.map(attempt, range(3)))

    assert answers.count("DONE") == 1, answers
    assert set(answers) <= {"DONE", "INVOICE_NOT_VOIDABLE", "INVOICE_NOT_REVERSIBLE"}


def test_a_gateway_killed_between_decision_and_signature_finishes_after_a_restart(
    tmp_path: Path,
) -> None:
    with SimulatorProcess(tmp_path / "simulator", arguments=["--windows", ""]) as simulator:
        stalling = GatewayProcess(
            tmp_path / "gateway",
            authority=simulator.target,
            module="tests.faults.stalling_gateway",
        )
        stalling.start()
        platform = Platform(stalling.channel)
        seller = platform.new_seller("026", stock=5)
        issued = platform.issue(ticket(seller))
        request = void_of(issued)
        with refused("IN_PROGRESS", grpc.StatusCode.ABORTED):
            platform.invoices.VoidInvoice(request, timeout=1.0)
        before = platform.get(name=issued.name)
        with refused("INVOICE_NOT_REVERSIBLE") as found:
            platform.issue(red_of(seller, issued))
        stalling.kill()

        with GatewayProcess(tmp_path / "gateway", authority=simulator.target) as gateway:
            platform = Platform(gateway.channel)
            eventually(lambda: platform.get(name=issued.name).state == State.STATE_VOIDED)
            again = platform.invoices.VoidInvoice(request)
            eventually(lambda: platform.drained(seller))

            assert before.state == State.STATE_ISSUED
            assert found[0].facts["state"] == "VOIDING"
            assert again.replayed
            voided = platform.get(name=issued.name)
            assert voided.upload_state == Upload.UPLOAD_STATE_ACCEPTED
            _verify(voided.void_certificate, again.void_statement)
            assert platform.books().findings == []


def _verify(certificate: bytes, statement: invoice_pb2.VoidStatement) -> None:
    """Raise ``InvalidSignature`` unless the statement was signed under the certificate."""
    public = x509.load_der_x509_certificate(certificate).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    signature = statement.signature
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    schema = json.loads(statement.content)["schema"].encode()
    public.verify(
        utils.encode_dss_signature(r, s),
        schema + b"\x00" + statement.content,
        ec.ECDSA(hashes.SHA256()),
    )
