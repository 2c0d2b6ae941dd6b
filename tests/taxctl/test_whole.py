"""The whole contract from the command line, against a real gateway with device and authority."""

import csv
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sandbox.layout import SAMPLES
from sandbox.system import System
from taxcontrol.authority.v1.simulator_service_pb2 import FaultPlan, SetFaultsRequest
from taxcontrol.authority.v1.simulator_service_pb2_grpc import SimulatorServiceStub
from taxcontrol.v1.invoice_query_pb2 import InvoiceChange, WatchInvoicesRequest
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from taxctl.connection import connect
from taxctl.watching import watch
from tests.taxctl.conftest import Terminal

SCHOOL = "91310115X12J2H3L4B"
FOUNDATION = "53110000MJ0YANG1YJ"
GENERAL = SAMPLES / "digital" / "ok-general.json"
MONEY = SAMPLES / "donation" / "ok-money.json"
COURSE = SAMPLES / "fpkj" / "ok-school-course-0.xml"


def request(path: Path) -> dict[str, Any]:
    """A sample request with a request id that nobody has used."""
    value: dict[str, Any] = json.loads(path.read_bytes())
    return {**value, "request_id": str(uuid4())}


@contextmanager
def _simulator(system: System) -> Iterator[SimulatorServiceStub]:
    connection = connect(system.simulator_target)
    with connection.channel:
        yield SimulatorServiceStub(connection.channel)


@pytest.fixture
def course(terminal: Terminal, tmp_path: Path) -> dict[str, Any]:
    """A fresh 026 of the school, as it was issued."""
    path = tmp_path / "course.xml"
    sample = COURSE.read_bytes()
    start = sample.index(b"<FPQQLSH>") + len(b"<FPQQLSH>")
    end = sample.index(b"</FPQQLSH>")
    path.write_bytes(sample[:start] + uuid4().hex[:20].encode() + sample[end:])
    [result] = terminal.run("issue", "--json", str(path)).json["results"]
    issued: dict[str, Any] = result["issued"]
    return issued


def test_every_json_sample_gets_its_verdict(terminal: Terminal) -> None:
    with (SAMPLES / "verdicts-json.csv").open(encoding="utf-8", newline="") as table:
        verdicts = {row["file"]: row for row in csv.DictReader(table)}
    folders = [str(SAMPLES / name) for name in ("digital", "donation")]

    ran = terminal.run("issue", "--json", *folders)

    assert ran.code == 1
    assert ran.json["unreadable_count"] == 0
    assert len(ran.json["results"]) == len(verdicts)
    for result in ran.json["results"]:
        path = Path(result["path"])
        row = verdicts[f"{path.parent.name}/{path.name}"]
        if row["verdict"] == "ACCEPT":
            assert result["outcome"] in ("issued", "replayed"), result
        else:
            named = {found["rule"] for found in result["failure"]["violations"]}
            assert row["verdict"] in named, result


def test_arrays_and_lines_are_issued_and_told_apart(terminal: Terminal, tmp_path: Path) -> None:
    requests = [request(GENERAL), request(MONEY), {**request(GENERAL), "clerk": ""}]
    (tmp_path / "a.json").write_text(json.dumps(requests))
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, requests)))
    (tmp_path / "c.json").write_text('[{"request_id": "x", "colour": "red"}]')

    ran = terminal.run("issue", "--json", str(tmp_path))
    table = terminal.run("issue", str(tmp_path / "a.json"))

    outcomes = {
        f"{Path(one['path']).name} {one.get('place', '')}": one["outcome"]
        for one in ran.json["results"]
    }
    assert outcomes == {
        "a.json [0]": "issued",
        "a.json [1]": "issued",
        "a.json [2]": "refused",
        "b.jsonl line 1": "replayed",
        "b.jsonl line 2": "replayed",
        "b.jsonl line 3": "refused",
        "c.json ": "unreadable",
    }
    assert ran.code == 2
    assert f"{tmp_path / 'a.json'} [2]: INVALID_INVOICE: 1 broken rule:" in table.err
    assert table.err.count("FIELD_REQUIRED") == 1


def test_a_blue_is_reversed_and_its_red_voided_again(
    terminal: Terminal, course: dict[str, Any]
) -> None:
    name = course["name"]

    tried = terminal.run("reverse", name, "--reason", "退课", "--dry-run")
    red = terminal.run("reverse", name, "--reason", "退课", "--yes", "--json")
    reversed_ = terminal.run("get", name, "--json").json["invoice"]
    of_red = terminal.run("get", red.json["issued"]["name"], "--json").json["invoice"]
    again = terminal.run("reverse", name, "--reason", "退课", "--yes")
    void = terminal.run("void", red.json["issued"]["name"], "--reason", "误开", "--yes")
    restored = terminal.run("get", name, "--json").json["invoice"]

    assert [ran.code for ran in (tried, red, again, void)] == [0, 0, 1, 0]
    assert reversed_["state"] == "STATE_REVERSED"
    assert reversed_["reversed_net_fen"] == reversed_["net_fen"]
    assert of_red["original"] == name
    assert "RED_EXCEEDS_BLUE" in again.err or "INVOICE_NOT_REVERSIBLE" in again.err
    assert "误开" in void.out
    assert restored["state"] == "STATE_ISSUED"


def test_an_invoice_is_voided_once(terminal: Terminal, course: dict[str, Any]) -> None:
    command = ["void", course["name"], "--reason", "开错", "--yes", "--json"]
    request_id = str(uuid4())

    first, again = (terminal.run(*command, "--request-id", request_id) for _ in range(2))
    other = terminal.run(*command)
    shown = terminal.run("get", course["name"])

    assert [ran.code for ran in (first, again, other)] == [0, 0, 1]
    assert first.json["void_statement"] == again.json["void_statement"]
    assert [ran.json["replayed"] for ran in (first, again)] == [False, True]
    assert other.json["error"]["reason_name"] == "INVOICE_NOT_VOIDABLE"
    assert "voided" in shown.out
    assert "开错" in shown.out


def test_a_list_finds_what_was_issued(terminal: Terminal, course: dict[str, Any]) -> None:
    number = course["number"]
    by_number = ["--code", course["code"], "--first-number", number, "--last-number", number]

    [found] = terminal.run("list", SCHOOL, "--json", *by_number).json_lines
    newest = terminal.run("list", SCHOOL, "--newest-first", "--limit", "3", "--type", "026")
    nobody = terminal.run("list", SCHOOL, "--buyer-tax-number", "91330102RH1NBN3K10", *by_number)
    unknown = terminal.run("list", "91330102RH1NBN3K10", "--json")

    assert found["issued"]["name"] == course["name"]
    assert f"{course['code']}-{number}" in newest.out
    assert nobody.code == 0
    assert unknown.code == 1
    assert unknown.json_lines[0]["error"]["reason_name"] == "TAXPAYER_NOT_FOUND"


def test_a_watch_tells_what_was_issued_and_goes_on_from_its_token(
    terminal: Terminal, course: dict[str, Any]
) -> None:
    connection = connect(terminal.target)
    request_ = WatchInvoicesRequest(parent=f"taxpayers/{SCHOOL}", from_beginning=True)
    with connection.channel:
        found = watch(
            connection,
            InvoiceServiceStub(connection.channel).WatchInvoices,
            request_,
            interrupted=lambda *_: None,
            sleep=lambda _: None,
        )
        for message in found:
            change = message.change
            if change.invoice.issued.name == course["name"]:
                break

        assert change.type == InvoiceChange.TYPE_ISSUED
        terminal.run("void", course["name"], "--reason", "开错", "--yes")
        later = (message.change for message in found if message.HasField("change"))
        assert any(
            one.type == InvoiceChange.TYPE_VOIDED and one.invoice.issued.name == course["name"]
            for one in later
        )


def test_a_qr_code_is_genuine_until_the_void(terminal: Terminal, course: dict[str, Any]) -> None:
    before = terminal.run("verify", course["qr_text"])
    terminal.run("void", course["name"], "--reason", "开错", "--yes")
    after = terminal.run("verify", course["qr_text"])
    wrong = terminal.run(
        *("verify", "--code", course["code"], "--number", course["number"]),
        *("--date", "2020-01-01", "--amount", "1.00", "--check-code", course["check_code"]),
    )

    assert [ran.out for ran in (before, after, wrong)] == [
        "verify: genuine\n",
        "verify: voided\n",
        "verify: not ours: no invoice here has all of these parts\n",
    ]
    assert [ran.code for ran in (before, after, wrong)] == [0, 6, 5]


def test_the_points_next_number_is_voided_blank(terminal: Terminal) -> None:
    def level() -> dict[str, Any]:
        shown = terminal.run("stock", "show", SCHOOL, "--type", "028", "--point", "0", "--json")
        found: dict[str, Any] = shown.json["levels"][0]
        return found

    before = level()
    command = [
        *("void-blank", SCHOOL, "--point", "0", "--type", "028", "--reason", "打印卡纸"),
        *("--code", before["next_code"], "--number", before["next_number"]),
    ]

    tried = terminal.run(*command, "--dry-run")
    unchanged = level()
    done = terminal.run(*command, "--yes")
    shown = terminal.run("get", f"{SCHOOL}/{before['next_code']}-{before['next_number']}")
    again = terminal.run(*command, "--yes")

    assert [ran.code for ran in (tried, done, shown, again)] == [0, 0, 0, 1]
    assert unchanged == before
    assert int(level()["available_count"]) == int(before["available_count"]) - 1
    assert "blank voided" in shown.out
    assert "打印卡纸" in shown.out
    assert "NUMBER_NOT_BLANK" in again.err


def test_numbers_go_back_to_the_pool_and_to_the_authority(terminal: Terminal) -> None:
    def counts() -> dict[str, int]:
        shown = terminal.run("stock", "show", SCHOOL, "--type", "026", "--json")
        return {one["point"]: int(one["available_count"]) for one in shown.json["levels"]}

    before = counts()
    recall = ["stock", "recall", SCHOOL, "--point", "0", "--type", "026", "--count", "6"]

    tried = terminal.run(*recall, "--dry-run", "--json")
    unchanged = counts()
    recalled = terminal.run(*recall, "--yes", "--json")
    segment = recalled.json["segments"][0]["segment_id"]
    returned = terminal.run(
        *("stock", "return", SCHOOL, "--segment", segment, "--count", "4", "--yes", "--json")
    )
    after = counts()

    assert [ran.code for ran in (tried, recalled, returned)] == [0, 0, 0], returned.out
    assert unchanged == before
    assert returned.json["return_serial"]
    assert returned.json["segment"]["total_count"] == "4"
    point = f"taxpayers/{SCHOOL}/points/0"
    assert after[point] == before[point] - 6
    assert after[""] == before.get("", 0) + 2


def test_uploads_are_paused_slowed_and_let_go_again(terminal: Terminal) -> None:
    why = ["--reason", "maintenance", "--yes"]

    paused = terminal.run("upload", "pause", FOUNDATION, "--until", "2099-01-01", *why)
    slowed = terminal.run("upload", "rate", FOUNDATION, "--window", "7/1h", *why)
    steered = terminal.run("upload", "status", FOUNDATION)
    terminal.run("upload", "resume", FOUNDATION)
    terminal.run("upload", "rate", FOUNDATION, "--reset", *why)
    free = terminal.run("upload", "status", FOUNDATION)
    past = terminal.run("upload", "pause", FOUNDATION, "--until", "2020-01-01", *why)
    retried = terminal.run("upload", "retry", FOUNDATION, *why)

    assert [ran.code for ran in (paused, slowed, past, retried)] == [0, 0, 1, 1]
    assert "until 2099-01-01 00:00:00" in steered.out
    assert "7/1h" in steered.out
    assert "paused" not in free.out
    assert "7/1h" not in free.out
    assert "0 events are sent again" in retried.out
    assert "nothing to send again" in retried.err


def test_a_donation_receipt_has_no_limit(terminal: Terminal) -> None:
    ran = terminal.run("taxpayer", "show", FOUNDATION)

    assert re.search(r"D01 .* no limit ", ran.out)
    assert re.search(r"upload windows +\d+/\d", ran.out)


def test_a_draw_that_the_authority_has_not_answered_is_told_by_its_id(
    terminal: Terminal, system: System, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.json"
    [_, school, *_] = json.loads((SAMPLES / "taxpayers.json").read_bytes())
    stranger.write_text(json.dumps({**school, "tax_no": "91330102RH1NBN3K10"}))
    draw = ["stock", "draw", SCHOOL, "--type", "026", "--count", "7"]
    with _simulator(system) as simulator:
        simulator.SetFaults(SetFaultsRequest(plan=FaultPlan(unreachable=True)))
        try:
            lost = terminal.run(*draw)
            unregistered = terminal.run("taxpayer", "register", str(stranger))
        finally:
            simulator.SetFaults(SetFaultsRequest(plan=FaultPlan()))
    request_id = lost.err.splitlines()[0].removeprefix("request id: ")

    assert (lost.code, unregistered.code) == (4, 4)
    assert "effect unknown" in unregistered.out
    assert "AUTHORITY_UNAVAILABLE" in lost.err
    assert f"goes on by itself; --request-id {request_id} tells how it ended" in lost.err
    assert lost.err.count("retry with the same request id") == 1
    until = time.monotonic() + 30
    while (told := terminal.run(*draw, "--request-id", request_id)).code == 4:
        assert time.monotonic() < until
    assert told.code == 0
    assert "replayed  yes" in told.out


def test_the_books_balance_after_all_of_it(terminal: Terminal) -> None:
    ran = terminal.run("doctor")

    assert ran.code == 0, ran.out
