"""How far long work is, on a terminal; nothing of it in a file, and no colour where none is wanted."""

from pathlib import Path

import pytest

from taxcontrol.admin.v1.alert_service_pb2 import WatchAlertsResponse
from tests.taxctl import views
from tests.taxctl.conftest import Terminal
from tests.taxctl.desk import Desk, request, serving
from tests.taxctl.gateway import FakeGateway
from tests.taxctl.test_reversal import OWNER
from tests.taxctl.tty import Live, on_terminal

LINES = "\n".join(f'{{"request_id": "r{n}"}}' for n in range(250))


@pytest.fixture
def many(tmp_path: Path) -> str:
    """A file with 250 requests."""
    assert request("r0").request_id == "r0"
    path = tmp_path / "many.jsonl"
    path.write_text(LINES)
    return str(path)


def test_issuing_many_shows_how_far_it_is(many: str) -> None:
    with serving(Desk()) as target:
        shown = on_terminal("issue", many, target=target, columns=200, TERM="xterm")

    assert shown.code == 0
    assert "issuing" in shown.text
    assert "250/250" in shown.text


def test_a_file_gets_no_progress(many: str) -> None:
    with serving(Desk()) as target:
        ran = Terminal(target).run("issue", many)

    assert "issuing" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("command", "said"), [(["doctor"], "正在核对账目"), (["upload", "list", OWNER], "正在列出")]
)
def test_progress_is_told_in_the_language_of_the_terminal(
    fake: FakeGateway, command: list[str], said: str
) -> None:
    if command == ["upload", "list", OWNER]:
        fake.books.issue(1)
    shown = on_terminal(*command, "--lang", "zh", target=fake.target, columns=100, TERM="xterm")

    assert shown.code == 0
    assert said in shown.text


@pytest.mark.parametrize(("wish", "coloured"), [("1", False), ("", True)])
def test_the_desk_has_no_colour_where_none_is_wanted(
    fake: FakeGateway, wish: str, coloured: bool
) -> None:
    fake.lookout.publish(views.view())
    for alert in views.alerts():
        fake.lookout.tell(alert, WatchAlertsResponse.CHANGE_RAISED)
    with Live("top", target=fake.target, NO_COLOR=wish) as live:
        live.until("q quit")
        live.press(b"q")
        live.code()

    assert ("m" in {piece[-1:] for piece in _escapes(live.text)}) is coloured
    assert "critical" in live.text


def _escapes(text: str) -> list[str]:
    found = []
    for piece in text.split("\x1b[")[1:]:
        end = next(place for place, char in enumerate(piece) if char.isalpha())
        found.append(piece[: end + 1])
    return found
