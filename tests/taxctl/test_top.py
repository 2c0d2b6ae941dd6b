"""``taxctl top``: the worst first on any width and height, drawn only when something changed."""

import json
import signal
import time

import pytest
from google.rpc import code_pb2
from rich.cells import cell_len

from taxcontrol.admin.v1.alert_pb2 import Alert
from taxcontrol.admin.v1.alert_service_pb2 import WatchAlertsResponse
from taxcontrol.admin.v1.desk_pb2 import DeskView
from taxcontrol.v1.invoice_service_pb2 import Failure
from taxctl.connection import connect
from taxctl.desk_feed import ALERTS, DESK, Board, Feeds
from taxctl.desk_frame import Terminal, frame
from taxctl.words import Language, use
from tests.taxctl import views
from tests.taxctl.conftest import Terminal as CommandLine
from tests.taxctl.gateway import FakeGateway
from tests.taxctl.test_reversal import OWNER
from tests.taxctl.tty import Live

TARGET = "127.0.0.1:50051"


@pytest.fixture
def manned(fake: FakeGateway) -> FakeGateway:
    """A gateway with the sample desk and alerts."""
    fake.lookout.publish(views.view())
    for alert in views.alerts():
        fake.lookout.tell(alert, WatchAlertsResponse.CHANGE_RAISED)
    return fake


def board(points: int = 3) -> Board:
    return Board(view=views.view(points=points), alerts=tuple(views.alerts()))


def drawn(board: Board, width: int, height: int, page: int = 0) -> list[str]:
    made = frame(board, target=TARGET, terminal=Terminal(width=width, height=height), page=page)
    return [line.plain for line in made.lines]


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("width", [40, 80, 120, 200])
@pytest.mark.parametrize("height", [5, 24, 60])
def test_a_frame_fits_its_terminal(language: Language, width: int, height: int) -> None:
    use(language)
    try:
        lines = drawn(board(40), width, height)
    finally:
        use(Language.EN)

    assert len(lines) <= height
    assert max(map(cell_len, lines)) <= width


def test_eighty_columns_tell_what_matters() -> None:
    lines = drawn(board(), 80, 24)
    text = "\n".join(lines)

    assert TARGET in lines[0]
    assert lines[0].endswith("2026-11-22 10:00:00")
    for part in (
        *("issued 312/min", "uploaded 298/min", "authority ok", "finance AWAY", "HSM ok"),
        *("clock -12 ms", "1 critical", "stock exhausted", "empty at", "16:40", "restrict"),
        *("10:40", "14:00", "140 of 300/1m", "paused until 12:00: 线"),
    ):
        assert part in text


def test_more_width_tells_more() -> None:
    narrow, wide = ("\n".join(drawn(board(), width, 40)) for width in (80, 200))

    for part in (
        "912 of 1000 invoices are not uploaded",
        "示例铁路客运有限公司",
        "to 1,000",
        "zhang",
    ):
        assert part in wide
        assert part not in narrow


def test_the_worst_comes_first() -> None:
    lines = drawn(board(), 120, 60)

    severities = [line.split()[0] for line in lines[5:8]]
    points = [line.split()[1] for line in lines[10:14]]
    assert severities == ["critical", "serious", "warning"]
    assert points == ["2", "0", "1", "pool"]


def test_every_row_is_on_some_page_and_what_is_left_out_is_said() -> None:
    many = board(40)
    made = frame(many, target=TARGET, terminal=Terminal(width=100, height=24))
    pages = [drawn(many, 100, 24, page) for page in range(made.page_count)]

    assert "rows left out" in pages[0][-1]
    assert f"page 1 of {made.page_count}" in pages[0][-1]
    stock = {
        (line.split()[1], line.split()[2])
        for page in pages
        for line in page
        if line.startswith("91110000AYTLHUJ0ET")
        and line.split()[2] == "026"
        and "1," not in line[:24]
    }
    assert {point for point, _ in stock} >= {str(number) for number in range(40)} | {"pool"}
    assert drawn(many, 100, 24, made.page_count + 5) == pages[-1]
    assert all(len(page) == 24 for page in pages)


def test_bars_do_without_unicode() -> None:
    made = frame(
        board(), target=TARGET, terminal=Terminal(width=80, height=24, unicode=False, keys=False)
    )
    text = "\n".join(line.plain for line in made.lines)

    assert "####----" in text or "###-----" in text
    assert not set(text) & set("█░…↓↑")


def test_a_stream_that_is_lost_is_said_so() -> None:
    failure = Failure(code=code_pb2.UNAVAILABLE, message="connection refused\x1b[2J")
    told = Board(view=views.view(), lost=((DESK, failure),), over=())
    none = Board(
        view=DeskView(), over=((ALERTS, Failure(code=code_pb2.UNIMPLEMENTED, message="x")),)
    )

    assert (
        r"desk lost: UNAVAILABLE: connection refused\x1b[2J; trying again"
        in drawn(told, 200, 24)[3]
    )
    assert drawn(none, 80, 24)[3] == "this gateway tells no alerts"
    assert "ALERTS  not known" in drawn(none, 80, 24)[4]


def test_without_a_terminal_one_view_is_printed(manned: FakeGateway, console: CommandLine) -> None:
    ran = console.run("top")

    assert ran.code == 0
    assert "issued 312/min" in ran.out
    assert "912 of 1000 invoices are not uploaded" in ran.out
    assert "\x1b" not in ran.out
    assert "q quit" not in ran.out


def test_one_view_as_json_is_the_contracts(manned: FakeGateway, console: CommandLine) -> None:
    ran = console.run("top", OWNER, "--once", "--json")

    assert ran.code == 0
    [told] = ran.json_lines
    assert told["view"]["issued_per_minute"] == "312"
    assert [one["name"] for one in told["alerts"]] == ["alerts/1", "alerts/2", "alerts/3"]


def test_an_unknown_taxpayer_is_refused(manned: FakeGateway, console: CommandLine) -> None:
    ran = console.run("top", "91310115X12J2H3L4B", "--once")

    assert (ran.code, "TAXPAYER_NOT_FOUND" in ran.err) == (1, True)


def test_a_gateway_that_is_not_there_at_first_is_not_reached(
    manned: FakeGateway, console: CommandLine
) -> None:
    manned.lookout.leave(away=True)

    ran = console.run("top", "--once")

    assert (ran.code, "SHUTTING_DOWN" in ran.err) == (1, True)
    assert CommandLine("127.0.0.1:1").run("top", "--once").code == 3


def test_alerts_go_on_behind_their_token_after_the_gateway_was_away(manned: FakeGateway) -> None:
    connection = connect(manned.target)
    with connection.channel, Feeds(connection, "") as feeds:
        feeds.wait(lambda now: now.complete, 30)
        manned.lookout.leave(away=True)
        lost = feeds.wait(lambda now: len(now.lost) == 2, 30)
        resolved = views.alerts()[1]
        resolved.state = Alert.STATE_RESOLVED
        manned.lookout.tell(resolved, WatchAlertsResponse.CHANGE_RESOLVED)
        manned.lookout.leave(away=False)
        found = feeds.wait(lambda now: not now.lost and len(now.alerts or ()) == 2, 30)

    assert {name for name, _ in lost.lost} == {DESK, ALERTS}
    assert lost.view is not None
    assert found.alerts is not None
    assert {one.name for one in found.alerts} == {"alerts/2", "alerts/3"}
    assert manned.lookout.tokens[-1] == "t3"


def test_a_token_that_the_gateway_does_not_know_any_more_begins_anew(manned: FakeGateway) -> None:
    connection = connect(manned.target)
    with connection.channel, Feeds(connection, "") as feeds:
        feeds.wait(lambda now: now.complete, 30)
        manned.lookout.stale = True
        manned.lookout.leave(away=True)
        feeds.wait(lambda now: len(now.lost) == 2, 30)
        del manned.lookout.alerts["alerts/1"]
        manned.lookout.leave(away=False)
        found = feeds.wait(lambda now: not now.lost and len(now.alerts or ()) == 2, 30)

    assert len(found.alerts or ()) == 2
    assert manned.lookout.tokens[-2:] == ["t3", ""]


def test_a_key_turns_the_page_and_another_leaves(manned: FakeGateway) -> None:
    manned.lookout.publish(views.view(points=40))
    with Live("top", target=manned.target) as live:
        live.until("page 1 of")
        live.press(b"p")
        live.until("page 2 of")
        live.press(b"\x1b[A\x1b[B\x1b[B")
        live.until("page 3 of")
        live.press(b"q")
        code = live.code()

    assert code == 0
    assert live.text.count("\x1b[?1049h") == live.text.count("\x1b[?1049l") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_and_restores_the_terminal(
    manned: FakeGateway, number: signal.Signals
) -> None:
    with Live("top", target=manned.target) as live:
        live.until("q quit")
        live.process.send_signal(number)
        code = live.code()

    assert code == 0
    assert "\x1b[?1049l" in live.text
    assert "Traceback" not in live.text


def test_an_unchanged_view_is_not_drawn_again(manned: FakeGateway) -> None:
    with Live("top", target=manned.target) as live:
        live.until("q quit")
        before = live.frame_count
        for _ in range(5):
            manned.lookout.publish(views.view())
        later = time.monotonic() + 1.0
        while time.monotonic() < later:  # long enough for four frames
            live.press(b"x")
            manned.lookout.publish(views.view())
        manned.lookout.publish(views.view(issued_per_minute=777))
        live.until("777/min")
        live.press(b"q")
        live.code()

    assert live.frame_count == before + 1


def test_it_draws_at_most_four_times_a_second(manned: FakeGateway) -> None:
    with Live("top", target=manned.target) as live:
        live.until("q quit")
        begin = time.monotonic()
        for number in range(300):
            manned.lookout.publish(views.view(issued_per_minute=1000 + number))
            live.press(b"p")
        manned.lookout.publish(views.view(issued_per_minute=5))
        live.until("issued 5/min")
        took_s = time.monotonic() - begin
        live.press(b"q")
        live.code()

    assert live.frame_count <= 3 + took_s * 4


def test_it_says_when_the_gateway_is_gone_and_goes_on(manned: FakeGateway) -> None:
    with Live("top", "--lang", "zh", target=manned.target, columns=200) as live:
        live.until("开票点 2 的 026 发票已用完")
        manned.lookout.leave(away=True)
        live.until("SHUTTING_DOWN")
        manned.lookout.publish(views.view(issued_per_minute=41))
        manned.lookout.leave(away=False)
        live.until("41")
        live.press(b"q")
        code = live.code()

    assert code == 0


def test_a_terminal_that_grows_is_used(manned: FakeGateway) -> None:
    with Live("top", target=manned.target) as live:
        live.until("q quit")
        live.size(200, 50)
        live.until("912 of 1000 invoices are not uploaded")
        live.press(b"q")

        assert live.code() == 0


def test_json_goes_on_with_a_line_for_each_view(manned: FakeGateway) -> None:
    with Live("top", "--json", target=manned.target, columns=200) as live:
        live.until("\n")
        manned.lookout.publish(views.view(issued_per_minute=41))
        live.until('"issued_per_minute": "41"', then="\n")
        live.process.send_signal(signal.SIGINT)
        code = live.code()

    lines = [line for line in live.text.splitlines() if line.startswith("{")]
    assert code == 0
    assert [json.loads(line)["view"]["issued_per_minute"] for line in lines] == ["312", "41"]
