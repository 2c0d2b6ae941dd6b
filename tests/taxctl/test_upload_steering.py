"""Uploads sent again, paused, resumed and slowed: tried first, done once, shown in the status."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxcontrol.admin.v1.taxpayer_pb2 import RateWindow
from taxcontrol.admin.v1.upload_admin_service_pb2 import (
    PauseUploadsRequest,
    RetryUploadsRequest,
    SetUploadRateRequest,
)
from taxcontrol.v1.invoice_pb2 import Invoice
from taxctl.session import Unusable
from taxctl.times import instant
from taxctl.windows import rates, window
from tests.taxctl.books import CODE, TAXPAYER
from tests.taxctl.conftest import Terminal
from tests.taxctl.gateway import FakeGateway
from tests.taxctl.tty import COLUMNS, on_terminal

OWNER = TAXPAYER.removeprefix("taxpayers/")
WHY = ["--reason", "the authority asked"]
RETRY = ["upload", "retry", OWNER, *WHY]
PAUSE = ["upload", "pause", OWNER, "--until", "2026-11-23", *WHY]
RATE = ["upload", "rate", OWNER, "--window", "5/1s", "--window", "30/1m", *WHY]
ALL = pytest.mark.parametrize("command", [RETRY, PAUSE, RATE])


@pytest.fixture(autouse=True)
def refused(fake: FakeGateway) -> list[str]:
    """Two invoices that the authority refused."""
    names = [fake.books.issue(number) for number in (1, 2)]
    fake.books.invoices[names[0]].upload_state = Invoice.UPLOAD_STATE_REJECTED
    fake.books.invoices[names[1]].upload_state = Invoice.UPLOAD_STATE_SIGNATURE_REJECTED
    return names


def state(fake: FakeGateway) -> tuple[object, ...]:
    uploads = [one.upload_state for one in fake.books.invoices.values()]
    return uploads, fake.mailroom.paused, list(fake.mailroom.windows)


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
    assert "would" in ran.out
    assert state(fake) == before


@ALL
def test_it_is_done_once_under_one_id(
    fake: FakeGateway, console: Terminal, command: list[str]
) -> None:
    before = state(fake)
    first = console.run(*command, "--yes")
    request_id = first.err.removeprefix("request id: ").strip()
    again = console.run(*command, "--yes", "--json", "--request-id", request_id)

    assert (first.code, again.code) == (0, 0)
    assert again.json["replayed"] is True
    assert state(fake) != before
    assert fake.books.seen[0] == fake.books.seen[1]


def test_one_terminal_for_all_of_them(fake: FakeGateway) -> None:
    shown = on_terminal(*RATE, target=fake.target, typed=b"y\n")

    assert shown.code == 0
    assert f"Keep the uploads of {TAXPAYER} to 5/1s 30/1m? [y/N]" in shown.text
    assert "these windows hold: 10/1s 5/1s 30/1m" in shown.text


def test_what_is_sent_is_what_was_typed(
    fake: FakeGateway, console: Terminal, refused: list[str]
) -> None:
    full, short = refused[0], refused[1].rpartition("/")[2]
    yes = ["--yes", "--request-id"]

    console.run(*RETRY, "--invoice", full, "--invoice", short, *yes, "1")
    console.run(*PAUSE, *yes, "2")
    console.run(*RATE, *yes, "3")
    console.run("upload", "rate", OWNER, "--reset", *WHY, *yes, "4")

    why = "the authority asked"
    assert fake.books.seen == [
        RetryUploadsRequest(request_id="1", parent=TAXPAYER, invoices=refused, reason=why),
        PauseUploadsRequest(
            request_id="2", parent=TAXPAYER, pause_until=instant("2026-11-23"), reason=why
        ),
        SetUploadRateRequest(
            request_id="3",
            parent=TAXPAYER,
            windows=[
                RateWindow(period_ms=1000, call_count_max=5),
                RateWindow(period_ms=60_000, call_count_max=30),
            ],
            reason=why,
        ),
        SetUploadRateRequest(request_id="4", parent=TAXPAYER, reason=why),
    ]


def test_a_pause_and_a_rate_are_in_the_status_until_they_end(
    fake: FakeGateway, console: Terminal
) -> None:
    console.run(*PAUSE, "--yes")
    console.run(*RATE, "--yes")
    steered = console.run("upload", "status", OWNER)
    tried = console.run("upload", "resume", OWNER, "--dry-run")
    paused = fake.mailroom.paused
    resumed = console.run("upload", "resume", OWNER)
    free = console.run("upload", "status", OWNER)

    for part in ("until 2026-11-23 00:00:00", "the authority asked", "5/1s 30/1m"):
        assert part in steered.out
    assert (tried.code, resumed.code) == (0, 0)
    assert paused is not None
    assert "paused" not in free.out


def test_the_status_can_be_read_on_80_columns(fake: FakeGateway, console: Terminal) -> None:
    console.run(*PAUSE, "--yes")

    shown = on_terminal("upload", "status", OWNER, target=fake.target)

    assert shown.code == 0
    assert max(map(len, shown.lines)) <= COLUMNS
    assert "until 2026-11-23 00:00:00" in shown.text


def test_what_is_refused_is_named(fake: FakeGateway, console: Terminal) -> None:
    fast = console.run("upload", "rate", OWNER, "--window", "11/1s", *WHY, "--yes")
    fine = console.run(*RETRY, "--invoice", f"{CODE}-00000009", "--yes")

    assert [fast.code, fine.code] == [1, 1]
    assert "INVALID_REQUEST" in fast.err
    assert "INVALID_REQUEST" in fine.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["upload", "rate", OWNER, *WHY],
        ["upload", "rate", OWNER, "--reset", "--window", "1/1s", *WHY],
        ["upload", "rate", OWNER, "--window", "fast", *WHY],
        ["upload", "retry", OWNER],
        ["upload", "pause", OWNER, "--until", "soon", *WHY],
    ],
)
def test_wrong_usage_ends_with_two(
    fake: FakeGateway, console: Terminal, arguments: list[str]
) -> None:
    assert console.run(*arguments, "--yes").code == 2
    assert fake.books.seen == []


@pytest.mark.parametrize(
    ("text", "calls", "period_ms"),
    [("10/1s", 10, 1000), ("30/m", 30, 60_000), ("600/1h", 600, 3_600_000), ("1/250ms", 1, 250)],
)
def test_a_window_is_read(text: str, calls: int, period_ms: int) -> None:
    assert window(text) == RateWindow(call_count_max=calls, period_ms=period_ms)


@pytest.mark.parametrize(
    "text", ["", "10", "0/1s", "10/0s", "10/1d", "-1/1s", "10/ 1s", "１0/1s", "4294967296/1s"]
)
def test_what_is_no_window_is_said_so(text: str) -> None:
    with pytest.raises(Unusable, match="--window must be"):
        window(text)


@given(calls=st.integers(1, 2**31 - 1), period_ms=st.integers(1, 999_999_999))
def test_windows_are_written_as_they_are_read(calls: int, period_ms: int) -> None:
    made = RateWindow(call_count_max=calls, period_ms=period_ms)

    assert window(rates([made])) == made


def test_a_pause_may_be_given_from_now_on(fake: FakeGateway, console: Terminal) -> None:
    pause = ["upload", "pause", OWNER, "--until", "10m", *WHY, "--yes"]
    before = int(time.time())

    ran = console.run(*pause)
    with_id = console.run(*pause, "--request-id", "mine")

    [request] = fake.books.seen
    assert isinstance(request, PauseUploadsRequest)
    assert before + 600 <= request.pause_until.seconds <= time.time() + 600
    # Whoever tries the same id again can repeat the very time.
    told = re.search(r"until: (.+)", ran.err)
    assert told is not None
    assert instant(told[1]) == request.pause_until
    assert (with_id.code, "--request-id goes with a time" in with_id.err) == (2, True)


@pytest.mark.parametrize("until", ["10", "0m", "-1h", "1w", "1.5h", "999999d", "１0m", "soon"])
def test_what_is_neither_a_time_nor_from_now_on_is_said_so(
    fake: FakeGateway, console: Terminal, until: str
) -> None:
    ran = console.run("upload", "pause", OWNER, "--until", until, *WHY, "--yes")

    assert ran.code == 2
    assert ran.err.startswith("taxctl: --until must be a time such as 2026-11-22")
    assert fake.books.seen == []


def test_where_nothing_was_refused_there_is_nothing_to_ask(
    fake: FakeGateway, console: Terminal, refused: list[str]
) -> None:
    console.run(*RETRY, "--yes")

    done = console.run(*RETRY, "--yes")
    asked = on_terminal(*RETRY, target=fake.target, typed=b"y\n")

    assert (done.code, asked.code) == (1, 1)
    assert "nothing to send again" in done.err
    assert "[y/N]" not in asked.text


def test_windows_have_one_notation(console: Terminal) -> None:
    shown = console.run("upload", "status", OWNER)

    facts = dict(line.split("  ", 1) for line in shown.out.splitlines())
    assert facts["windows"].strip() == "0 of 10/1s"
    assert facts["rate share"].strip() == "100 % of what the windows allow"


def test_the_doctor_says_that_something_was_refused(console: Terminal) -> None:
    ran = console.run("doctor")

    assert ran.code == 0
    assert " rejected=2 pending=0 " in ran.out.splitlines()[-1]
    assert "2 events were refused by the authority" in ran.err


def test_no_colour_is_no_bold_and_no_dim(fake: FakeGateway) -> None:
    plain, bold = (
        on_terminal("upload", "status", OWNER, target=fake.target, TERM="xterm", NO_COLOR=wish)
        for wish in ("1", "")
    )

    assert "\x1b" not in plain.text
    assert "\x1b" in bold.text
