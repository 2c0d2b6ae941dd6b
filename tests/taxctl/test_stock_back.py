"""Numbers on their way back: recalled, returned, voided blank; tried first, done once."""

import pytest

from taxcontrol.admin.v1.stock_admin_service_pb2 import (
    RecallStockRequest,
    ReturnStockRequest,
    VoidBlankNumberRequest,
)
from tests.taxctl.books import CODE, TAXPAYER
from tests.taxctl.conftest import Terminal
from tests.taxctl.gateway import FakeGateway
from tests.taxctl.tty import COLUMNS, on_terminal

OWNER = TAXPAYER.removeprefix("taxpayers/")
RECALL = ["stock", "recall", OWNER, "--point", "0", "--type", "026", "--count", "5"]
RETURN = ["stock", "return", OWNER, "--segment", "7", "--count", "4"]
VOID_BLANK = [
    *("void-blank", OWNER, "--point", "0", "--type", "026", "--code", CODE),
    *("--number", "00000031", "--reason", "printer ate it"),
]
ALL = pytest.mark.parametrize("command", [RECALL, RETURN, VOID_BLANK])


def state(fake: FakeGateway) -> tuple[object, ...]:
    room = fake.storeroom
    return room.next, room.last, list(room.pool), list(room.returned), list(room.voided)


@ALL
def test_without_a_terminal_and_a_word_nothing_is_done(
    fake: FakeGateway, console: Terminal, command: list[str]
) -> None:
    ran = console.run(*command)

    assert ran.code == 2
    assert "give --yes or --dry-run" in ran.err
    assert fake.books.seen == []


@ALL
def test_a_dry_run_lets_the_gateway_say_what_would_happen(
    fake: FakeGateway, console: Terminal, command: list[str]
) -> None:
    before = state(fake)

    ran = console.run(*command, "--dry-run")

    assert ran.code == 0
    assert ran.err.endswith("nothing was changed\n")
    assert state(fake) == before
    assert [one.validate_only for one in fake.books.seen] == [True]  # type: ignore[attr-defined]


@ALL
def test_it_is_done_once_under_one_id(
    fake: FakeGateway, console: Terminal, command: list[str]
) -> None:
    first = console.run(*command, "--yes", "--json")
    done = state(fake)
    request_id = first.err.removeprefix("request id: ").strip()
    again = console.run(*command, "--yes", "--json", "--request-id", request_id)
    other = console.run(*command, "--yes", "--request-id", f"{request_id}x")

    assert (first.code, again.code) == (0, 0)
    assert [ran.json["replayed"] for ran in (first, again)] == [False, True]
    assert fake.books.seen[0] == fake.books.seen[1]
    # A new id is a new wish: the number is gone, the next five and four are there.
    assert (other.code == 1) == (command is VOID_BLANK)
    assert (state(fake) == done) == (command is VOID_BLANK)


@ALL
def test_on_a_terminal_the_gateways_own_word_comes_before_the_question(
    fake: FakeGateway, command: list[str]
) -> None:
    before = state(fake)

    refused = on_terminal(*command, target=fake.target, typed=b"no\n")
    assert state(fake) == before
    agreed = on_terminal(*command, target=fake.target, typed=b"yes\n")

    assert (refused.code, agreed.code) == (1, 0)
    assert "nothing was done" in refused.text
    assert "nothing was changed" not in refused.text + agreed.text
    assert state(fake) != before
    tried = [one.validate_only for one in fake.books.seen]  # type: ignore[attr-defined]
    assert tried == [True, True, False]
    # The question may be longer; whatever is shown is not.
    assert all(len(line) <= COLUMNS for line in agreed.lines if "[y/N]" not in line)


def test_what_is_sent_is_what_was_typed(fake: FakeGateway, console: Terminal) -> None:
    for command in (RECALL, RETURN):
        console.run(*command, "--yes", "--request-id", "r", "--reason", "moving")
        fake.books.bound.clear()
    place = f"{TAXPAYER}/points/0"
    console.run("void-blank", "--point", place, *VOID_BLANK[4:], "--yes", "--request-id", "r")

    assert fake.books.seen == [
        RecallStockRequest(request_id="r", point=place, type="026", count=5, reason="moving"),
        ReturnStockRequest(request_id="r", parent=TAXPAYER, segment_id=7, count=4, reason="moving"),
        VoidBlankNumberRequest(
            request_id="r",
            point=place,
            type="026",
            code=CODE,
            number="00000031",
            reason="printer ate it",
        ),
    ]


@pytest.mark.parametrize(
    ("taxpayer", "point", "said"),
    [
        ([], "0", "give TAXPAYER"),
        ([OWNER], f"{TAXPAYER}/points/0", "leave TAXPAYER out"),
        ([OWNER], "70000", "must be 0 to 65535"),
        ([OWNER], "٣", "must be 0 to 65535"),
    ],
)
def test_a_blank_numbers_point_is_said_once(
    console: Terminal, taxpayer: list[str], point: str, said: str
) -> None:
    ran = console.run("void-blank", *taxpayer, "--point", point, *VOID_BLANK[4:], "--yes")

    assert ran.code == 2
    assert said in ran.err


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ([*RECALL[:-1], "500"], "STOCK_EXHAUSTED"),
        ([*RETURN[:4], "99", *RETURN[5:]], "SEGMENT_NOT_FOUND"),
        ([*VOID_BLANK[:-3], "00000044", *VOID_BLANK[-2:]], "NUMBER_NOT_BLANK"),
    ],
)
def test_what_is_refused_is_named(
    fake: FakeGateway, console: Terminal, command: list[str], reason: str
) -> None:
    before = state(fake)

    for word in ("--dry-run", "--yes"):
        ran = console.run(*command, word)
        assert ran.code == 1
        assert reason in ran.err

    assert state(fake) == before


def test_stock_is_shown_with_the_pool_first(console: Terminal) -> None:
    ran = console.run("stock", "show", OWNER)

    assert [line.split() for line in ran.out.splitlines()[1:]] == [
        ["pool", "026", "10", CODE, "00000051", "2027-01-31"],
        ["0", "026", "20", CODE, "00000031"],
    ]


def test_segments_are_told_apart_on_80_columns(fake: FakeGateway, console: Terminal) -> None:
    shown = on_terminal("stock", "segments", OWNER, target=fake.target)
    whole = console.run("stock", "segments", OWNER)

    header = shown.lines[0].split()
    assert ("type" in header, "last" in header, "numbers" in header) == (True, False, False)
    assert " 081 " in shown.text
    assert "no room for: " in shown.text
    assert max(map(len, shown.lines)) <= COLUMNS
    assert {"type", "last", "numbers"} <= set(whole.out.splitlines()[0].split())
    assert "no room" not in whole.err
