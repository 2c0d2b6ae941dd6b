"""Reversing and voiding: asked for first, shown by a dry run, done once under one request id."""

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest

from taxcontrol.v1.invoice_pb2 import INVOICE_KIND_RED, Invoice
from taxcontrol.v1.invoice_reversal_pb2 import ReverseInvoiceRequest, VoidInvoiceRequest
from taxctl.invoice_facts import against_reversing, against_voiding
from tests.taxctl.books import DAY_S, NOON, TAXPAYER
from tests.taxctl.conftest import Terminal
from tests.taxctl.gateway import FakeGateway
from tests.taxctl.tty import COLUMNS, on_terminal

OWNER = TAXPAYER.removeprefix("taxpayers/")


@pytest.fixture
def blue(fake: FakeGateway) -> str:
    return fake.books.issue(1)


@pytest.mark.parametrize("command", [["reverse"], ["void", "--reason", "wrong buyer"]])
def test_without_a_terminal_and_a_word_nothing_is_done(
    fake: FakeGateway, console: Terminal, blue: str, command: list[str]
) -> None:
    ran = console.run(*command, blue)

    assert ran.code == 2
    assert "give --yes or --dry-run" in ran.err
    assert fake.books.seen == []


@pytest.mark.parametrize("command", [["reverse", "--reason", "退货"], ["void", "--reason", "退货"]])
def test_a_dry_run_shows_what_is_known_and_what_would_be_sent(
    fake: FakeGateway, console: Terminal, blue: str, command: list[str]
) -> None:
    ran = console.run(*command, blue, "--dry-run", "--request-id", "mine")
    told = console.run(*command, blue, "--dry-run", "--request-id", "mine", "--json")

    assert ran.code == told.code == 0
    assert "nothing was changed" in ran.err
    assert not re.search(r"_|Request", ran.out)
    for part in ("would be sent:", blue, "issued", "100.00", "2026-11-22 10:00:00", "mine", "退货"):
        assert part in ran.out
    assert told.json["dry_run"] is True
    assert told.json["invoice"]["state"] == "STATE_ISSUED"
    assert told.json["request"]["name"] == blue
    assert len(fake.books.changes) == 1


def test_a_blue_is_reversed_once_under_one_id(
    fake: FakeGateway, console: Terminal, blue: str
) -> None:
    command = ["reverse", blue, "--yes", "--reason", "returned", "--point", "1", "--clerk", "王"]
    first = console.run(*command)
    request_id = first.err.removeprefix("request id: ").strip()
    again = console.run(*command, "--request-id", request_id, "--json")

    assert (first.code, again.code) == (0, 0)
    assert UUID(request_id).version == 4
    assert again.json["replayed"] is True
    assert again.json["issued"]["name"] in first.out
    [wanted, repeated] = fake.books.seen
    assert wanted == repeated
    assert wanted == ReverseInvoiceRequest(
        request_id=request_id,
        name=blue,
        point=f"{TAXPAYER}/points/1",
        red_reason="returned",
        clerk="王",
    )


def test_an_invoice_is_voided_by_its_short_name(
    fake: FakeGateway, console: Terminal, blue: str
) -> None:
    short = f"{OWNER}/{blue.rpartition('/')[2]}"

    ran = console.run("void", short, "--reason", "wrong buyer", "--yes", "--request-id", "v1")
    shown = console.run("get", short)

    assert ran.code == 0
    assert fake.books.seen[0] == VoidInvoiceRequest(
        request_id="v1", name=blue, reason="wrong buyer"
    )
    for out in (ran.out, shown.out):
        assert "wrong buyer" in out
        assert "a5" * 64 in "".join(out.split())
    assert "voided" in shown.out


def test_what_the_gateway_refuses_is_refused(
    fake: FakeGateway, console: Terminal, blue: str
) -> None:
    old = fake.books.issue(2, at=NOON - 40 * DAY_S)
    console.run("reverse", blue, "--yes")

    refused = [
        console.run("reverse", blue, "--yes"),
        console.run("void", old, "--reason", "late", "--yes"),
        console.run("void", f"{blue}9", "--reason", "unknown", "--yes"),
        console.run("void", f"{blue}9", "--reason", "unknown", "--dry-run"),
    ]

    assert [ran.code for ran in refused] == [1, 1, 1, 1]
    for ran, reason in zip(
        refused,
        ("RED_EXCEEDS_BLUE", "INVOICE_NOT_VOIDABLE", "INVOICE_NOT_FOUND", "INVOICE_NOT_FOUND"),
        strict=True,
    ):
        assert reason in ran.err


def test_a_void_wants_a_reason(console: Terminal) -> None:
    assert console.run("void", f"{OWNER}/1-2", "--yes").code == 2


def test_get_shows_what_reds_have_taken_and_what_a_red_reverses(
    fake: FakeGateway, console: Terminal, blue: str
) -> None:
    fake.books.invoices[blue].reversed_net_fen = 40_00
    fake.books.invoices[blue].state = Invoice.STATE_PARTLY_REVERSED
    red = fake.books.issue(2, net_fen=-40_00, kind=INVOICE_KIND_RED, original=blue)

    shown, of_red = console.run("get", blue), console.run("get", red)

    facts = dict(line.split("  ", 1) for line in shown.out.splitlines())
    assert facts["state"].strip() == "partly reversed"
    assert facts["reversed net"].strip() == "40.00"
    assert facts["remaining net"].strip() == "60.00"
    assert f"original           {blue}".split() in [
        line.split() for line in of_red.out.splitlines()
    ]


@pytest.mark.parametrize(
    ("typed", "code", "left"), [(b"y\n", 0, 2), (b"n\n", 1, 1), (b"\x04", 1, 1)]
)
def test_on_a_terminal_it_is_shown_and_asked_for(
    fake: FakeGateway, blue: str, typed: bytes, code: int, left: int
) -> None:
    shown = on_terminal("void", blue, "--reason", "wrong", target=fake.target, typed=typed)

    assert shown.code == code
    assert f"Void {blue}? [y/N]" in shown.text
    assert "will be sent:" in shown.text
    assert "nothing was changed" not in shown.text
    assert ("nothing was done" in shown.text) == (code == 1)
    assert len(fake.books.changes) == left


def test_ctrl_c_at_the_question_does_nothing(fake: FakeGateway, blue: str) -> None:
    shown = on_terminal("reverse", blue, target=fake.target, interrupted=True)

    assert shown.code == 130
    assert "Traceback" not in shown.text
    assert len(fake.books.changes) == 1


def test_an_invoice_can_be_read_on_80_columns(fake: FakeGateway, blue: str) -> None:
    shown = on_terminal("get", blue, target=fake.target)

    assert shown.code == 0
    assert "5a" * 64 in "".join(shown.text.split())
    assert max(map(len, shown.lines)) <= COLUMNS


@pytest.mark.parametrize(
    ("changes", "of_reversing", "of_voiding"),
    [
        ({}, "", ""),
        ({"state": Invoice.STATE_VOIDED}, "it is voided", "it is voided"),
        ({"state": Invoice.STATE_REVERSED}, "it is reversed", "void the red first"),
        ({"state": Invoice.STATE_PARTLY_REVERSED}, "it is partly reversed", "void the red first"),
        ({"kind": INVOICE_KIND_RED}, "it is a red invoice", ""),
        ({"upload_state": Invoice.UPLOAD_STATE_SIGNATURE_REJECTED}, "must be voided", ""),
    ],
)
def test_what_speaks_against_it_is_said_beforehand(
    changes: dict[str, int], of_reversing: str, of_voiding: str
) -> None:
    invoice = Invoice(kind=1, state=Invoice.STATE_ISSUED)  # type: ignore[arg-type]
    invoice.issued.issue_time.seconds = NOON
    for name, value in changes.items():
        setattr(invoice, name, value)
    now = datetime.fromtimestamp(NOON, UTC)

    for told, wanted in (
        (against_reversing(invoice), of_reversing),
        (against_voiding(invoice, now), of_voiding),
    ):
        assert wanted in told
        assert bool(wanted) == bool(told)


def test_another_month_speaks_against_a_void() -> None:
    invoice = Invoice(state=Invoice.STATE_ISSUED)
    invoice.issued.issue_time.seconds = NOON
    midnight = datetime(2026, 11, 30, 16, tzinfo=UTC)  # 1 December in China

    assert "issued in 2026-11, and this is 2026-12" in against_voiding(invoice, midnight)
