"""``taxctl top``: the desk, live: stock, backlog, budgets, alerts and rates at one look."""

import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, Final

import typer
from google.rpc import code_pb2
from rich.console import Console, Group
from rich.live import Live

from taxcontrol.v1.invoice_service_pb2 import Failure
from taxctl.alert_facts import worst_first
from taxctl.desk_feed import Board, Feeds
from taxctl.desk_frame import Frame, Terminal, frame, whole
from taxctl.failure import CallFailed
from taxctl.following import Ending
from taxctl.keys import Key, Keys
from taxctl.names import taxpayer_name
from taxctl.screen import as_dict
from taxctl.session import ExitCode, Session
from taxctl.words import tr

# At most four frames a second.
_FRAME_S: Final = 0.25


def top(
    session: Session,
    *,
    taxpayer: Annotated[
        str,
        typer.Argument(
            metavar="TAXPAYER",
            help="Tax number, or taxpayers/{tax number}. All of them when left out.",
            show_default=False,
        ),
    ] = "",
    once: Annotated[bool, typer.Option("--once", help="Print one view and end.")] = False,
) -> ExitCode:
    """Show stock, budgets, alerts and uploads live, the worst first; q or Ctrl-C leaves.

    p and the down arrow turn a page, u and the up arrow turn back. A gateway that goes away is called
    again, and a line says so meanwhile. Where there is no terminal one view is printed. With --json
    each view is one line, {"view": …, "alerts": […]}: the contract's DeskView and the Alerts that
    stand. Exit code: 0 shown, 1 refused, 2 wrong usage, 3 the gateway was not reached at the start,
    4 it could not look now.
    """
    parent = taxpayer_name(taxpayer) if taxpayer else ""
    with Feeds(session.connection, parent) as feeds:
        board = feeds.wait(lambda board: board.complete, session.connection.timeout_s)
        if board.view is None:
            told = tr("no view of the desk has come in time")
            raise CallFailed(Failure(code=code_pb2.DEADLINE_EXCEEDED, message=told))
        out = session.screen.out
        if session.screen.as_json:
            _print_json(session, feeds, board, once=once)
        elif once or not out.is_terminal or out.is_dumb_terminal:
            _print(session, board)
        else:
            _until_ended(lambda: _draw(session, feeds))
    return ExitCode.DONE


def _until_ended(act: Callable[[], None]) -> None:
    try:
        with Ending():
            act()
    except KeyboardInterrupt:
        return


def _print(session: Session, board: Board) -> None:
    out = session.screen.out
    terminal = Terminal(width=out.width, height=0, unicode=_unicode(out))
    for line in whole(board, target=session.connection.target, terminal=terminal):
        out.print(line, soft_wrap=True)


def _print_json(session: Session, feeds: Feeds, board: Board, *, once: bool) -> None:
    def tell(board: Board) -> None:
        alerts = worst_first(board.alerts or ())
        view = as_dict(board.view) if board.view is not None else {}
        session.screen.document({"view": view, "alerts": [as_dict(one) for one in alerts]})

    def go_on() -> None:
        count = board.view_count
        while True:
            later = feeds.wait(partial(_later, count), session.connection.timeout_s)
            if later.view_count > count:
                tell(later)
                count = later.view_count

    tell(board)
    if not once:
        _until_ended(go_on)


def _later(count: int, board: Board) -> bool:
    return board.view_count > count


def _draw(session: Session, feeds: Feeds) -> None:
    out, page = session.screen.out, 0
    drawn: Frame | None = None
    shown: tuple[int, int, Terminal] | None = None
    with Keys() as keys, Live(console=out, screen=True, auto_refresh=False) as live:
        while True:
            width, height = out.size
            terminal = Terminal(
                width=width, height=height, unicode=_unicode(out), keys=keys.present
            )
            board = feeds.board()
            wanted = (board.version, page, terminal)
            if wanted != shown:
                made = frame(board, target=session.connection.target, terminal=terminal, page=page)
                if drawn is None or made.lines != drawn.lines or _resized(shown, terminal):
                    live.update(Group(*made.lines), refresh=True)
                drawn, shown = made, wanted
                page = min(page, made.page_count - 1)
            for key in keys.until(time.monotonic() + _FRAME_S):
                if key is Key.QUIT:
                    return
                step = 1 if key is Key.NEXT else -1
                page = max(0, min(page + step, drawn.page_count - 1 if drawn else 0))


def _resized(shown: tuple[int, int, Terminal] | None, terminal: Terminal) -> bool:
    return shown is not None and shown[2] != terminal


def _unicode(out: Console) -> bool:
    return out.encoding.lower().startswith("utf")
