"""One invoice as a person wants it: its facts, what was signed, the certificate of the key."""

import json
from pathlib import Path

import pytest

from taxcontrol.v1.invoice_pb2 import Invoice
from tests.taxctl.conftest import Terminal
from tests.taxctl.gateway import FakeGateway


@pytest.fixture
def name(fake: FakeGateway) -> str:
    return fake.books.issue(1)


@pytest.fixture
def blank(fake: FakeGateway, name: str) -> str:
    """A number that was voided before anybody took it, as the contract tells it."""
    invoice = fake.books.invoices[name]
    for field in ("content", "signature", "key_id", "check_code", "qr_text", "request_id"):
        invoice.issued.ClearField(field)
    invoice.state = Invoice.STATE_BLANK_VOIDED
    invoice.net_fen = invoice.tax_fen = 0
    invoice.certificate, invoice.void_certificate = b"", b"DER of k2"
    invoice.void_statement.key_id = "k2"
    invoice.void_statement.content = '{"reason":"打印卡纸"}'.encode()
    return name


def test_the_buyer_is_among_the_facts(console: Terminal, name: str) -> None:
    ran = console.run("get", name)

    assert ["buyer", "示例买方1"] in [line.split() for line in ran.out.splitlines()]


def test_what_was_signed_is_laid_out_for_reading(
    fake: FakeGateway, console: Terminal, name: str
) -> None:
    ran = console.run("get", name, "--content")

    assert ran.code == 0
    assert "示例买方1" in ran.out
    assert ran.json == json.loads(fake.books.invoices[name].issued.content)
    assert console.run("get", name, "--content", "--json").code == 2


def test_the_certificate_is_written_as_it_is(console: Terminal, name: str, tmp_path: Path) -> None:
    file = tmp_path / "k1.der"

    ran = console.run("get", name, "--certificate", str(file))
    nowhere = console.run("get", name, "--certificate", str(tmp_path / "gone" / "k1.der"))

    assert ran.code == 0
    assert file.read_bytes() == b"DER of k1"
    assert f"the certificate of k1 is in {file}" in ran.err
    assert name in ran.out
    assert (nowhere.code, "No such file" in nowhere.err) == (2, True)


def test_a_blank_void_was_never_an_invoice(console: Terminal, blank: str, tmp_path: Path) -> None:
    file = tmp_path / "k2.der"

    ran = console.run("get", blank)
    signed = console.run("get", blank, "--content")
    console.run("get", blank, "--certificate", str(file))

    facts = {line.split("  ")[0] for line in ran.out.splitlines()}
    assert not facts & {"kind", "buyer", "net (yuan)", "tax (yuan)", "issued at", "signature"}
    assert {"name", "state", "upload", "void reason"} <= facts
    assert "blank voided" in ran.out
    assert signed.json == {"reason": "打印卡纸"}
    assert file.read_bytes() == b"DER of k2"


def test_what_is_not_there_is_said_so(
    fake: FakeGateway, console: Terminal, name: str, tmp_path: Path
) -> None:
    fake.books.invoices[name].issued.content = b"no JSON"
    fake.books.invoices[name].certificate = b""

    unread = console.run("get", name, "--content")
    without = console.run("get", name, "--certificate", str(tmp_path / "x"))

    assert (unread.code, without.code) == (1, 1)
    assert "no content" in unread.err
    assert "no certificate" in without.err
    assert list(tmp_path.iterdir()) == []
