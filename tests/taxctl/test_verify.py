"""A stranger's question, by QR text or by what is printed; only what is genuine ends with 0."""

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
    ("state", "said"), [(Invoice.STATE_VOIDED, "voided"), (Invoice.STATE_REVERSED, "reversed")]
)
def test_what_is_no_longer_in_force(
    fake: FakeGateway, console: Terminal, name: str, state: Invoice.State.ValueType, said: str
) -> None:
    fake.books.invoices[name].state = state

    ran = console.run("verify", QR)

    assert (ran.code, ran.out) == (1, f"verify: {said}\n")


def test_a_strangers_paper_is_not_ours(console: Terminal) -> None:
    ran = console.run("verify", QR)

    assert (ran.code, ran.out) == (1, "verify: not ours\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--number, --date, --amount missing"),
        (["--number", "1"], "--date, --amount missing"),
        ([QR, "--number", "1"], "either the QR_TEXT or --number"),
        (["--number", "1", "--date", "2026-11-22", "--amount", "1.005"], "--amount must be yuan"),
        (["--number", "1", "--date", "2026-11-22", "--amount", "NaN"], "--amount must be yuan"),
    ],
)
def test_half_a_question_is_wrong_usage(
    fake: FakeGateway, console: Terminal, arguments: list[str], said: str
) -> None:
    ran = console.run("verify", *arguments)

    assert ran.code == 2
    assert said in ran.err
    assert fake.books.seen == []
