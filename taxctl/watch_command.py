"""``taxctl watch``: a line for every change of a taxpayer's invoices."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from taxcontrol.v1.invoice_query_pb2 import (
    InvoiceChange,
    WatchInvoicesRequest,
    WatchInvoicesResponse,
)
from taxcontrol.v1.invoice_service_pb2 import Failure
from taxctl import token_file
from taxctl.failure import reason_name
from taxctl.invoice_facts import word
from taxctl.names import OnePointOption, OneTypeOption, ParentArgument, parent_name, short_name
from taxctl.screen import Screen, as_dict, civil, yuan
from taxctl.session import ExitCode, Session, Unusable, explained
from taxctl.watching import watch as messages


def watch(
    session: Session,
    *,
    parent: ParentArgument,
    point: OnePointOption = None,
    type: OneTypeOption = "",
    resume_token: Annotated[
        str,
        typer.Option(
            help="Go on behind the message with this token, of a watch with the same parent and"
            " type. Default: begin now.",
            show_default=False,
        ),
    ] = "",
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Without a token: begin with the first change.")
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help="Go on where FILE says, if it is there, and store there how far this watch is.",
            show_default=False,
        ),
    ] = None,
) -> ExitCode:
    """Print every change of the invoices of a taxpayer or point, until Ctrl-C.

    A gateway that goes away is called again, and nothing is missed. The token is stored after a
    change was printed, so a watch that is killed in between prints that change once more.

    With --json each change is one line, with its resume_token. --timeout does not apply. Exit code:
    0 ended by Ctrl-C or SIGTERM, 1 refused, 2 wrong usage or an unusable FILE, 3 the gateway was
    not reached at the start, 4 effect unknown.
    """
    request = WatchInvoicesRequest(
        parent=parent_name(parent, point),
        type=type,
        resume_token=_token(resume_token, token_file, from_beginning=from_beginning),
        from_beginning=from_beginning,
    )
    follower = _Follower(session, token_file)
    found = messages(
        session.connection, request, interrupted=follower.interrupted, sleep=time.sleep
    )
    ending = _Ending()
    try:
        with ending:
            for message in found:
                with ending.postponed():
                    follower.work_off(message)
    except KeyboardInterrupt:
        follower.end()
    return ExitCode.DONE


class _Ending:
    """Ctrl-C and SIGTERM end a watch between two messages, not between a line and its token.

    The second one ends it at once: the first may wait for a reader who has stopped reading.
    """

    def __init__(self) -> None:
        self._postponed = False
        self._asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def postponed(self) -> Iterator[None]:
        """Put an ending off to the end of the block."""
        self._postponed = True
        try:
            yield
        finally:
            self._postponed = False
        if self._asked:
            raise KeyboardInterrupt

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        if self._postponed and not self._asked:
            self._asked = True
            return
        raise KeyboardInterrupt


class _Follower:
    """Prints changes and keeps the position behind the last one that was printed."""

    def __init__(self, session: Session, token_file: Path | None) -> None:
        self._session = session
        self._token_file = token_file
        self._printed = ""
        self._stored = ""
        self._alone = False

    def work_off(self, message: WatchInvoicesResponse) -> None:
        """Print the change of ``message`` if it has one, then store where that is."""
        if self._alone:
            self._session.screen.note("taxctl: the watch goes on")
            self._alone = False
        if message.HasField("change"):
            _print(self._session.screen, message)
        self._printed = message.resume_token
        self._store()

    def interrupted(self, failure: Failure, _pause_s: float) -> None:
        """Say once why nothing comes; the tries that follow are not worth a line each."""
        if not self._alone:
            said = explained(failure, self._session.connection.target)
            self._session.screen.note(
                f"taxctl: {reason_name(said)}: {said.message}; trying again until it is back"
            )
            self._alone = True

    def end(self) -> None:
        """Keep the position of what was printed, and say it where no file does."""
        self._store()
        if self._printed and self._token_file is None:
            self._session.screen.note(f"taxctl: ended; to go on: --resume-token {self._printed}")

    def _store(self) -> None:
        if self._token_file is not None and self._printed != self._stored:
            token_file.store(self._token_file, self._printed)
            self._stored = self._printed


def _token(given: str, file: Path | None, *, from_beginning: bool) -> str:
    if given and from_beginning:
        raise Unusable("--resume-token and --from-beginning do not go together")
    stored = token_file.load(file) if file is not None else ""
    if given and stored:
        raise Unusable(f"{file} holds a resume token; leave --resume-token out")
    return given or stored


def _print(screen: Screen, message: WatchInvoicesResponse) -> None:
    if screen.as_json:
        screen.document(as_dict(message))
        return
    change = message.change
    issued = change.invoice.issued
    what = word(InvoiceChange.Type.Name, change.type, "TYPE_").removeprefix("upload ")
    screen.line(
        f"{civil(change.change_time)}  {what:15}  {issued.type:3}  {short_name(issued.name):21}"
        f"  {yuan(change.invoice.net_fen):>13}"
    )
