"""Printing a watch until it is ended, and keeping how far it is: what `watch` and `alerts watch` share."""

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Protocol, TypeVar

import typer

from taxcontrol.v1.invoice_service_pb2 import Failure
from taxctl import token_file
from taxctl.failure import reason_name, sentence
from taxctl.session import Session, Unusable, explained
from taxctl.words import tr

TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        dir_okay=False,
        help="Go on where FILE says, if it is there, and store there how far this watch is.",
        show_default=False,
    ),
]


class Message(Protocol):
    """A message of a watch. Its token is empty where a watch that breaks off begins anew."""

    @property
    def resume_token(self) -> str:
        """Where to go on behind it."""


_Message = TypeVar("_Message", bound=Message)


def first_token(given: str, file: Path | None) -> str:
    """Where to begin; raise :class:`Unusable` when both say so."""
    stored = token_file.load(file) if file is not None else ""
    if given and stored:
        raise Unusable(
            tr("{file} holds a resume token; leave --resume-token out").format(file=file)
        )
    return given or stored


def follow(
    session: Session,
    file: Path | None,
    watched: "Callable[[Callable[[Failure, float], None]], Iterable[_Message]]",
    show: Callable[[_Message], None],
) -> None:
    """Show the messages of ``watched`` until Ctrl-C, each before its position is stored.

    ``watched`` gets what to call when the watch is interrupted.
    """
    follower = _Follower(session, file, show)
    ending = Ending()
    try:
        with ending:
            for message in watched(follower.interrupted):
                with ending.postponed():
                    follower.work_off(message)
    except KeyboardInterrupt:
        follower.end()


class Ending:
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
    """Shows messages and keeps the position behind the last one that was shown."""

    def __init__(self, session: Session, file: Path | None, show: "Callable[[Any], None]") -> None:
        self._session = session
        self._file = file
        self._show = show
        self._shown = ""
        self._stored = ""
        self._alone = False

    def work_off(self, message: Message) -> None:
        """Show ``message``, then store where that is."""
        if self._alone:
            self._session.screen.note(tr("taxctl: the watch goes on"))
            self._alone = False
        self._show(message)
        self._shown = message.resume_token
        self._store()

    def interrupted(self, failure: Failure, _pause_s: float) -> None:
        """Say once why nothing comes; the tries that follow are not worth a line each."""
        if not self._alone:
            said = explained(failure, self._session.connection.target)
            self._session.screen.note(
                tr("taxctl: {reason}: {message}; trying again until it is back").format(
                    reason=reason_name(said), message=sentence(said)
                )
            )
            self._alone = True

    def end(self) -> None:
        """Keep the position of what was shown, and say it where no file does."""
        self._store()
        if self._shown and self._file is None:
            self._session.screen.note(
                tr("taxctl: ended; to go on: --resume-token {token}").format(token=self._shown)
            )

    def _store(self) -> None:
        if self._file is not None and self._shown and self._shown != self._stored:
            token_file.store(self._file, self._shown)
            self._stored = self._shown
