"""Every command against a real gateway: what it answers, what it changes, how it ends."""

import csv
import json
from pathlib import Path
from uuid import uuid4

import pytest

from sandbox.layout import SAMPLES
from tests.taxctl.conftest import Terminal

RAILWAY = "91110000AYTLHUJ0ET"
SCHOOL = "91310115X12J2H3L4B"
SELLERS = [
    seller["tax_no"]
    for file in ("taxpayers.json", "taxpayers-json.json")
    for seller in json.loads((SAMPLES / file).read_bytes())
]
TICKET = SAMPLES / "fpkj" / "ok-railway-ticket-0.xml"


@pytest.fixture
def ticket(tmp_path: Path) -> tuple[Path, str]:
    """A good document with a request id that nobody has used, and that id."""
    request_id = uuid4().hex[:20]
    path = tmp_path / "ticket.xml"
    path.write_bytes(TICKET.read_bytes().replace(b"RAI00700000000000001", request_id.encode()))
    return path, request_id


def test_every_sample_gets_its_verdict(terminal: Terminal) -> None:
    with (SAMPLES / "verdicts.csv").open(encoding="utf-8", newline="") as table:
        verdicts = {row["file"]: row for row in csv.DictReader(table)}

    ran = terminal.run("issue", "--json", str(SAMPLES / "fpkj"))

    assert ran.code == 1
    assert ran.json["refused_count"] == 28
    assert len(ran.json["results"]) == len(verdicts) == 41
    for result in ran.json["results"]:
        row = verdicts[f"fpkj/{Path(result['path']).name}"]
        if row["verdict"] == "ACCEPT":
            assert result["outcome"] in ("issued", "replayed")
        else:
            rules = {found["rule"] for found in result["failure"]["violations"]}
            assert result["failure"]["reason"] == "ERROR_REASON_INVALID_INVOICE"
            assert row["verdict"] in rules


def test_the_same_file_again_is_the_same_invoice(
    terminal: Terminal, ticket: tuple[Path, str]
) -> None:
    first = terminal.run("issue", "--json", str(ticket[0]))
    again = terminal.run("issue", "--json", "--batch-size", "1", str(ticket[0]))

    assert (first.code, again.code) == (0, 0)
    assert (first.json["issued_count"], again.json["replayed_count"]) == (1, 1)
    assert first.json["results"][0]["issued"] == again.json["results"][0]["issued"]


def test_a_table_names_file_number_and_amount(terminal: Terminal, ticket: tuple[Path, str]) -> None:
    ran = terminal.run("issue", "--point", "1", str(ticket[0]))

    assert ran.code == 0
    assert ticket[1] in ran.out
    assert "484.45" in ran.out
    assert ran.out.splitlines()[-1].startswith("issue: issued=1 replayed=0 refused=0")


def test_an_unreadable_file_is_named_and_the_others_are_issued(
    terminal: Terminal, ticket: tuple[Path, str], tmp_path: Path
) -> None:
    (tmp_path / "bad\x1b[31m.xml").write_bytes(b"<business")

    ran = terminal.run("issue", str(tmp_path), str(tmp_path / "gone.xml"))

    assert ran.code == 2
    assert "issued=1 replayed=0 refused=0 unreadable=2" in ran.out
    assert r"bad\x1b[31m.xml: XML_MALFORMED" in ran.err
    assert "gone.xml: No such file or directory" in ran.err
    assert "\x1b" not in ran.out + ran.err


def test_a_refusal_lists_every_broken_rule(terminal: Terminal) -> None:
    ran = terminal.run("issue", str(SAMPLES / "fpkj" / "bad-red-positive-amount.xml"))

    assert ran.code == 1
    assert "INVALID_INVOICE" in ran.err
    for field in ("lines[0].quantity", "lines[0].amount_fen", "net_fen", "gross_fen"):
        assert field in ran.err


def test_standard_input_is_a_document(terminal: Terminal, ticket: tuple[Path, str]) -> None:
    ran = terminal.run("issue", "--json", "-", stdin=ticket[0].read_bytes())

    assert ran.code == 0
    assert ran.json["results"][0]["path"] == "-"


def test_xml_is_the_reply_a_platform_of_the_old_interface_expects(
    terminal: Terminal, ticket: tuple[Path, str]
) -> None:
    bad = str(SAMPLES / "fpkj" / "bad-totals.xml")

    ran = terminal.run("issue", "--xml", str(ticket[0]), bad)

    replies = ran.data.decode("gbk").split("<?xml")[1:]
    assert ran.code == 1
    assert f"<FPQQLSH>{ticket[1]}</FPQQLSH>" in replies[0]
    assert "<RETURNCODE>0000</RETURNCODE>" in replies[0]
    assert "<RETURNCODE>9999</RETURNCODE>" in replies[1]
    assert "INVALID_INVOICE" in replies[1]


def test_xml_and_json_do_not_go_together(terminal: Terminal) -> None:
    ran = terminal.run("issue", "--xml", "--json", str(TICKET))

    assert ran.code == 2
    assert "do not go together" in ran.err


def test_an_invoice_is_found_by_id_and_by_name(
    terminal: Terminal, ticket: tuple[Path, str]
) -> None:
    terminal.run("issue", str(ticket[0]))

    by_id = terminal.run("get", "--json", "--request-id", ticket[1])
    name = by_id.json["invoice"]["issued"]["name"]
    by_name = terminal.run("get", name)

    assert by_id.code == by_name.code == 0
    assert name in by_name.out
    assert "444.45" in by_name.out


def test_an_unknown_invoice_is_not_found(terminal: Terminal) -> None:
    ran = terminal.run("get", "--request-id", "nobody-asked")
    told = terminal.run("--json", "get", "--request-id", "nobody-asked")

    assert ran.code == told.code == 1
    assert "INVOICE_NOT_FOUND" in ran.err
    assert told.json["error"]["reason"] == "ERROR_REASON_INVOICE_NOT_FOUND"
    assert told.json["error"]["metadata"] == {"request_id": "nobody-asked"}


@pytest.mark.parametrize("arguments", [[], ["taxpayers/T/invoices/1-2", "--request-id", "x"]])
def test_get_wants_one_identity(terminal: Terminal, arguments: list[str]) -> None:
    assert terminal.run("get", *arguments).code == 2


def test_numbers_are_drawn_and_assigned_once_under_one_id(terminal: Terminal) -> None:
    def left() -> int:
        shown = terminal.run("stock", "show", SCHOOL, "--type", "028", "--json")
        return int(shown.json["levels"][0]["available_count"])

    before = left()
    draw = ["stock", "draw", SCHOOL, "--type", "028", "--count", "30", "--request-id", str(uuid4())]
    assign = [
        *("stock", "assign", SCHOOL, "--point", "0", "--type", "028", "--count", "30"),
        *("--request-id", str(uuid4()), "--reason", "counter runs low"),
    ]
    drawn = [terminal.run(*draw, "--json") for _ in range(2)]
    assigned = [terminal.run(*assign, "--json") for _ in range(2)]

    assert [ran.code for ran in drawn + assigned] == [0, 0, 0, 0]
    assert drawn[0].json["grant"] == drawn[1].json["grant"]
    assert [ran.json["replayed"] for ran in drawn] == [False, True]
    assert [ran.json["replayed"] for ran in assigned] == [False, True]
    assert left() == before + 30


def test_a_write_shows_its_fresh_id_so_that_it_can_be_retried(terminal: Terminal) -> None:
    draw = ["stock", "draw", f"taxpayers/{SCHOOL}", "--type", "026", "--count", "1"]

    first = terminal.run(*draw)
    request_id = first.err.removeprefix("request id: ").strip()
    again = terminal.run(*draw, "--request-id", request_id)

    assert first.code == again.code == 0
    assert "replayed  yes" in again.out


def test_a_dry_run_changes_nothing(terminal: Terminal) -> None:
    def segments() -> object:
        return terminal.run("stock", "segments", RAILWAY, "--json").json

    before = segments()
    draw = terminal.run(
        *("stock", "draw", RAILWAY, "--type", "026", "--count", "7", "--dry-run"),
    )

    assert draw.code == 0
    assert "would be drawn" in draw.out
    assert segments() == before


def test_too_little_in_the_pool_is_refused(terminal: Terminal) -> None:
    ran = terminal.run(
        *("stock", "assign", RAILWAY, "--point", "0", "--type", "026", "--count", "1000000")
    )

    assert ran.code == 1
    assert "STOCK_EXHAUSTED" in ran.err


def test_stock_is_shown_by_point(terminal: Terminal) -> None:
    ran = terminal.run("stock", "show", RAILWAY, "--point", "2")

    assert ran.code == 0
    assert {line.split()[0] for line in ran.out.splitlines()[1:]} == {"2"}


def test_uploads_are_shown_for_all_and_for_one(terminal: Terminal) -> None:
    everybody = terminal.run("upload", "status", "--json")
    one = terminal.run("upload", "status", RAILWAY)
    listed = terminal.run("upload", "list", RAILWAY, "--json")

    assert len(everybody.json["statuses"]) == len(SELLERS)
    assert one.code == 0
    assert RAILWAY in one.out
    assert listed.code == 0
    assert "events" in listed.json


def test_registering_again_is_safe(terminal: Terminal) -> None:
    ran = terminal.run("taxpayer", "register", str(SAMPLES / "taxpayers.json"))

    assert ran.code == 0
    assert ran.out.count("registered before") == 4


def test_one_refused_taxpayer_never_stops_the_others(terminal: Terminal, tmp_path: Path) -> None:
    railway, school, *_ = json.loads((SAMPLES / "taxpayers.json").read_bytes())
    file = tmp_path / "two.json"
    file.write_text(json.dumps([{**railway, "limit": "1.00"}, school]))

    ran = terminal.run("taxpayer", "register", str(file), "--json")

    assert ran.code == 1
    refused, replayed = ran.json["results"]
    assert refused["failure"]["reason"] == "ERROR_REASON_REQUEST_ID_REUSED"
    assert replayed["replayed"] is True


@pytest.mark.parametrize(
    ("content", "said"), [("{", "not JSON"), ('[{"tax_no": "x"}]', "[0].name is missing")]
)
def test_a_malformed_registration_is_unusable(
    terminal: Terminal, tmp_path: Path, content: str, said: str
) -> None:
    file = tmp_path / "taxpayers.json"
    file.write_text(content)

    ran = terminal.run("taxpayer", "register", str(file))

    assert ran.code == 2
    assert said in ran.err


def test_an_id_for_several_taxpayers_is_refused(terminal: Terminal) -> None:
    ran = terminal.run(
        "taxpayer", "register", str(SAMPLES / "taxpayers.json"), "--request-id", "mine"
    )

    assert ran.code == 2
    assert "--request-id is for one taxpayer" in ran.err


def test_taxpayers_are_listed_and_shown(terminal: Terminal) -> None:
    listed = terminal.run("taxpayer", "list")
    shown = terminal.run("taxpayer", "show", RAILWAY)
    unknown = terminal.run("taxpayer", "show", "91330102RH1NBN3K10")

    assert listed.out.count("\n") == 1 + len(SELLERS)
    assert "100,000.00" in shown.out
    assert (unknown.code, "TAXPAYER_NOT_FOUND" in unknown.err) == (1, True)


def test_the_doctor_says_so_in_a_line_for_scripts(
    terminal: Terminal, ticket: tuple[Path, str]
) -> None:
    terminal.run("issue", str(ticket[0]))

    ran = terminal.run("doctor")
    told = terminal.run("doctor", "--json")

    assert ran.code == 0
    last = ran.out.splitlines()[-1]
    assert last.startswith("doctor: balanced=yes issued=")
    assert last.endswith("findings=0")
    assert told.json["balanced"] is True


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["issue"],
        ["issue", "--point", "70000", "x.xml"],
        ["stock", "draw", "T", "--count", "0", "--type", "026"],
        ["taxpayer", "register", "no-such-file.json"],
        ["--timeout", "-1", "doctor"],
    ],
)
def test_wrong_usage_ends_with_two(terminal: Terminal, arguments: list[str]) -> None:
    ran = terminal.run(*arguments)

    assert ran.code == 2
    assert "Traceback" not in ran.err
