"""Asking before what cannot be taken back.

Such a command shows what it is about and asks on the terminal. ``--yes`` says so beforehand;
``--dry-run`` shows and ends. Where nobody can be asked and nothing was said it refuses.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from taxctl.names import request_id_of
from taxctl.session import ExitCode, Session, Unusable
from taxctl.words import tr


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What cannot be taken back. Both calls get the request id.

    They may raise ``CallFailed``, and :class:`NothingToDo`. ``preview`` shows what would happen and changes nothing; ``do`` does it and tells.
    """

    question: str
    preview: Callable[[str], None]
    do: Callable[[str], None]


class NothingToDo(Exception):
    """There is nothing to do it to; the sentence says so."""


class Send(Protocol):
    """What a command sends."""

    def __call__(self, request_id: str, *, validate_only: bool) -> None:
        """Send it and tell the answer; raise ``CallFailed``."""


def rehearsed(question: str, send: Send) -> Deed:
    """A deed whose RPC has ``validate_only``: the gateway itself says what would happen."""
    return Deed(
        question=question,
        preview=lambda request_id: send(request_id, validate_only=True),
        do=lambda request_id: send(request_id, validate_only=False),
    )


def carry_out(
    session: Session, deed: Deed, *, request_id: str, yes: bool, dry_run: bool
) -> ExitCode:
    """Do it if the user agrees; the exit code says whether it was done, or shown for a dry run.

    Raises:
        Unusable: Nobody can be asked, and neither ``yes`` nor ``dry_run`` is set.
        CallFailed: The gateway refused it, or did not answer.
    """
    if not (yes or dry_run) and not _terminal():
        raise Unusable(
            tr("there is no terminal to ask on: give --yes or --dry-run; nothing was done")
        )
    used_id = request_id_of(request_id, session.screen)
    try:
        return _carry_out(session, deed, used_id, yes=yes, dry_run=dry_run)
    except NothingToDo as error:
        session.screen.note(f"taxctl: {error}")
        return ExitCode.REFUSED


def _carry_out(session: Session, deed: Deed, used_id: str, *, yes: bool, dry_run: bool) -> ExitCode:
    if dry_run:
        deed.preview(used_id)
        if not session.screen.as_json:
            session.screen.note(tr("nothing was changed"))
        return ExitCode.DONE
    if not yes:
        if not session.screen.as_json:
            deed.preview(used_id)
        if not _agreed(session, deed.question):
            session.screen.note(tr("nothing was done"))
            return ExitCode.REFUSED
    deed.do(used_id)
    return ExitCode.DONE


def _terminal() -> bool:
    # The question goes to standard error: the answer of the command may go to a file.
    return sys.stdin.isatty() and sys.stderr.isatty()


def _agreed(session: Session, question: str) -> bool:
    session.screen.ask(f"{question} [y/N] ")
    try:
        answer = sys.stdin.readline()
    except OSError:  # the terminal is gone
        answer = ""
    if not answer.endswith("\n"):  # the end of input, which leaves the cursor behind the question
        session.screen.note("")
    return answer.strip().lower() in ("y", "yes", "是")
