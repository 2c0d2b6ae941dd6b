"""A stranger's question, by QR text or by what is printed; each verdict has its exit code."""

import pytest

from taxcontrol.v1.invoice_pb2 import Invoice
from taxcontrol.v1.invoice_query_pb2 import PrintedInvoice, VerifyInvoiceRequest
from tests.taxctl.books import CODE
from tests.taxctl.conftest import Terminal
from tests.taxctl.gateway import FakeGateway

PRINTED = [
    *("--code", CODE, "--number", "00000001", "--date", "2026-11-22", "--amount", "1,234.50"),
    *("--check-code", "000001"),
]
QR = f"01,10,{CODE},00000001"


@pytest.fixture
def name(fake: FakeGateway) -> str:
    return fake.books.issue(1, net_fen=1_234_50)


@pytest.mark.parametrize("asked", [PRINTED, [QR]])
def test_a_genuine_one(fake: FakeGateway, console: Terminal, name: str, asked: list[str]) -> None:
    ran, told = console.run("verify", *asked), console.run("verify", "--json", *asked)

    assert (ran.code, ran.out) == (0, "verify: genuine\n")
    assert told.json == {"verdict": "VERDICT_GENUINE"}


def test_every_part_reaches_the_gateway(fake: FakeGateway, console: Terminal) -> None:
    console.run("verify", *PRINTED)
    console.run("verify", "--number", "1" * 20, "--date", "2026-11-22", "--amount", "-5")

    assert fake.books.seen == [
        VerifyInvoiceRequest(
            printed=PrintedInvoice(
                code=CODE,
                number="00000001",
                issue_date="2026-11-22",
                net_fen=1_234_50,
                check_code="000001",
            )
        ),
        VerifyInvoiceRequest(
            printed=PrintedInvoice(number="1" * 20, issue_date="2026-11-22", net_fen=-500)
        ),
    ]


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        (Invoice.STATE_VOIDED, (6, "verify: voided\n")),
        (Invoice.STATE_REVERSED, (7, "verify: reversed\n")),
    ],
)
def test_what_is_no_longer_in_force(
    fake: FakeGateway,
    console: Terminal,
    name: str,
    state: Invoice.State.ValueType,
    answer: tuple[int, str],
) -> None:
    fake.books.invoices[name].state = state

    ran = console.run("verify", QR)

    assert (ran.code, ran.out) == answer


def test_a_strangers_paper_is_not_ours(console: Terminal) -> None:
    by_qr, by_parts = console.run("verify", QR), console.run("verify", *PRINTED)
    without_check_code = console.run("verify", *PRINTED[:-2])

    nobodys = "verify: not ours: no invoice here has"
    assert (by_qr.code, by_qr.out) == (5, f"{nobodys} this QR text\n")
    assert (by_parts.code, by_parts.out) == (5, f"{nobodys} all of these parts\n")
    assert without_check_code.out == (
        f"{nobodys} all of these parts (was --check-code left out?)\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--number, --date, --amount missing"),
        (["--number", "1"], "--date, --amount missing"),
        ([QR, "--number", "1"], "either the QR_TEXT or --number"),
        (["--number", "1", "--date", "2026-11-22", "--amount", "1.005"], "--amount must be yuan"),
        (["--number", "1", "--date", "2026-11-22", "--amount", "NaN"], "--amount must be yuan"),
        (["--number", "1", "--date", "2026-11-22", "--amount", "1e999999999"], "--amount must be"),
    ],
)
def test_half_a_question_is_wrong_usage(
    fake: FakeGateway, console: Terminal, arguments: list[str], said: str
) -> None:
    ran = console.run("verify", *arguments)

    assert ran.code == 2
    assert said in ran.err
    assert fake.books.seen == []
