"""Every filter reaches the gateway, pages are followed to their end, and each row is there once."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2

from taxcontrol.v1.invoice_pb2 import INVOICE_KIND_RED, Invoice
from taxcontrol.v1.invoice_query_pb2 import ListInvoicesRequest
from taxctl.choices import StateChoice, UploadChoice
from tests.taxctl.books import CODE, DAY_S, NOON, TAXPAYER
from tests.taxctl.conftest import Terminal
from tests.taxctl.desk import Trouble
from tests.taxctl.gateway import FakeGateway
from tests.taxctl.tty import COLUMNS, on_terminal

OWNER = TAXPAYER.removeprefix("taxpayers/")
MIDNIGHT = NOON - 10 * 3600


def numbers(out: str) -> list[int]:
    """The running numbers of a printed list."""
    return [int(line.split()[0].rpartition("-")[2]) for line in out.splitlines()[1:]]


def test_every_filter_reaches_the_gateway(fake: FakeGateway, console: Terminal) -> None:
    ran = console.run(
        *("list", OWNER, "--point", "2", "--type", "026", "--code", CODE),
        *("--first-number", "00000001", "--last-number", "00000009"),
        *("--issued-from", "2026-11-22", "--issued-before", "2026-11-22T10:30:00"),
        *("--state", "partly-reversed", "--upload-state", "in-doubt"),
        *("--buyer-tax-number", "91330102RH1NBN3K10", "--newest-first"),
    )

    assert ran.code == 0
    assert "no invoice fits" in ran.out
    [request] = fake.books.seen
    assert request == ListInvoicesRequest(
        parent=f"{TAXPAYER}/points/2",
        type="026",
        code=CODE,
        first_number="00000001",
        last_number="00000009",
        issued_from=Timestamp(seconds=MIDNIGHT),
        issued_before=Timestamp(seconds=NOON + 1800),
        state=Invoice.STATE_PARTLY_REVERSED,
        upload_state=Invoice.UPLOAD_STATE_IN_DOUBT,
        buyer_tax_number="91330102RH1NBN3K10",
        newest_first=True,
        page_size=500,
    )
    filters = {field.name for field in ListInvoicesRequest.DESCRIPTOR.fields} - {"page_token"}
    assert {field.name for field, _ in request.ListFields()} == filters


def test_the_choices_are_those_of_the_contract() -> None:
    states = {choice.wire for choice in StateChoice} | {Invoice.STATE_UNSPECIFIED}
    uploads = {choice.wire for choice in UploadChoice} | {Invoice.UPLOAD_STATE_UNSPECIFIED}

    assert states == set(Invoice.State.values())
    assert uploads == set(Invoice.UploadState.values())


@pytest.mark.parametrize("newest_first", [False, True])
def test_all_pages_make_one_list(fake: FakeGateway, console: Terminal, newest_first: bool) -> None:
    for number in range(1, 11):
        fake.books.issue(number, at=NOON + number)
    order = ["--newest-first"] if newest_first else []

    table = console.run("list", TAXPAYER, *order)
    lines = console.run("list", TAXPAYER, "--json", *order)

    wanted = list(range(10, 0, -1)) if newest_first else list(range(1, 11))
    assert numbers(table.out) == wanted
    assert table.out.count("net (yuan)") == 1
    assert [int(one["issued"]["number"]) for one in lines.json_lines] == wanted
    assert {line[23:26] for line in table.out.splitlines()[1:]} == {"026"}


@pytest.mark.parametrize(("limit", "told"), [(4, True), (10, False), (11, False)])
def test_a_limit_is_kept_and_more_is_said(
    fake: FakeGateway, console: Terminal, limit: int, told: bool
) -> None:
    for number in range(1, 11):
        fake.books.issue(number, at=NOON + number)

    ran = console.run("list", TAXPAYER, "--limit", str(limit))

    assert numbers(ran.out) == list(range(1, min(limit, 10) + 1))
    assert ("raise --limit" in ran.err) == told


def test_a_day_is_a_day_in_china(fake: FakeGateway, console: Terminal) -> None:
    for number, at in enumerate(
        (MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + DAY_S - 1, MIDNIGHT + DAY_S), 1
    ):
        fake.books.issue(number, at=at)

    ran = console.run("list", OWNER, "--issued-from", "2026-11-22", "--issued-before", "2026-11-23")

    assert numbers(ran.out) == [2, 3]


def test_a_failure_in_the_middle_is_a_line_of_its_own(fake: FakeGateway, console: Terminal) -> None:
    for number in range(1, 11):
        fake.books.issue(number)
    fake.office.after(1, Trouble(code=code_pb2.UNAVAILABLE, reason="LEDGER_UNAVAILABLE"))

    ran = console.run("list", TAXPAYER, "--json")

    assert ran.code == 4
    *rows, failed = ran.json_lines
    assert len(rows) == 3
    assert failed["error"]["reason_name"] == "LEDGER_UNAVAILABLE"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--issued-from", "yesterday"],
        ["--state", "lost"],
        ["--limit", "0"],
        ["--point", "-1"],
    ],
)
def test_what_is_no_filter_is_wrong_usage(
    fake: FakeGateway, console: Terminal, arguments: list[str]
) -> None:
    ran = console.run("list", OWNER, *arguments)

    assert ran.code == 2
    assert fake.books.seen == []


def test_a_point_is_named_once(console: Terminal) -> None:
    ran = console.run("list", f"{TAXPAYER}/points/1", "--point", "2")

    assert ran.code == 2
    assert "names a point already" in ran.err


def test_a_list_can_be_read_on_80_columns(fake: FakeGateway) -> None:
    for number, state in enumerate(Invoice.State.values()[1:], 1):
        name = fake.books.issue(number, net_fen=1_234_567_89)
        fake.books.invoices[name].state = state
        fake.books.invoices[name].upload_state = Invoice.UPLOAD_STATE_SIGNATURE_REJECTED

    shown = on_terminal("list", OWNER, target=fake.target)

    assert shown.code == 0
    assert max(map(len, shown.lines)) <= COLUMNS
    for number in range(1, 6):
        assert f"{CODE}-{number:08}" in shown.text
    assert shown.text.count("1,234,567.89") == 5
    assert "partly" in shown.text


@pytest.mark.parametrize(
    ("columns", "titles"),
    [
        (80, []),
        (86, []),
        (87, ["kind"]),
        (111, ["kind"]),
        (112, ["kind", "buyer"]),
        (133, ["kind", "buyer"]),
        (134, ["kind", "buyer"]),
    ],
)
def test_kind_and_buyer_are_shown_where_there_is_room(
    fake: FakeGateway, columns: int, titles: list[str]
) -> None:
    fake.books.issue(1, net_fen=-1_234_567_89, kind=INVOICE_KIND_RED)

    shown = on_terminal(
        "list", OWNER, target=fake.target, columns=columns, TERM="xterm", NO_COLOR="1"
    )

    header = shown.lines[0].split()
    assert [title for title in ("kind", "buyer") if title in header] == titles
    assert ("red" in shown.text.split(), "示例买方1" in shown.text) == (
        "kind" in titles,
        "buyer" in titles,
    )
    assert max(map(len, shown.lines)) <= columns


def test_a_list_in_a_file_has_all_columns_and_no_blanks_at_the_end(
    fake: FakeGateway, console: Terminal
) -> None:
    blue = fake.books.issue(1)
    fake.books.issue(2, net_fen=-100_00, kind=INVOICE_KIND_RED, original=blue)
    fake.books.invoices[fake.books.issue(3)].state = Invoice.STATE_BLANK_VOIDED

    lines = console.run("list", OWNER).out.splitlines()

    assert [line.split()[-2:] for line in lines[1:3]] == [
        ["blue", "示例买方1"],
        ["red", "示例买方2"],
    ]
    assert "blue" not in lines[3]
    assert all(line == line.rstrip() for line in lines)
