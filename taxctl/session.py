"""What every command starts from: where the gateway is, how long to wait, how to answer.

``--target``, ``--timeout`` and ``--json`` are taken before the command and after it; after wins.
"""

import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand

from taxcontrol.v1.invoice_service_pb2 import Failure
from taxctl.connection import DEFAULT_TARGET, DEFAULT_TIMEOUT_S, Connection, connect
from taxctl.failure import CallFailed, unanswered, undecided
from taxctl.screen import Screen

_TARGET_HELP: Final = f"The gateway. Default: $TAXCTL_TARGET, or {DEFAULT_TARGET}."
TargetOption = Annotated[
    str | None, typer.Option("--target", metavar="HOST:PORT", help=_TARGET_HELP)
]
# The environment is read once, before the command: it must not win over what is typed there.
EnvironmentTargetOption = Annotated[
    str | None,
    typer.Option(
        "--target",
        envvar="TAXCTL_TARGET",
        show_envvar=False,
        metavar="HOST:PORT",
        help=_TARGET_HELP,
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        min=0.001,
        max=3600,
        help=f"How long each call may take. Default: {DEFAULT_TIMEOUT_S:g}.",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON, with the contract's field names.")
]
_INTERRUPTED: Final = 130


class ExitCode(IntEnum):
    """What a script gets to know. The last three are verdicts of ``verify``."""

    DONE = 0
    REFUSED = 1
    UNUSABLE = 2
    UNREACHABLE = 3
    UNDECIDED = 4
    NOT_OURS = 5
    VOIDED = 6
    REVERSED = 7


class Unusable(Exception):
    """What the user gave cannot be used; the sentence names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One run of one command."""

    connection: Connection
    screen: Screen


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The options before the command; None is not given."""

    target: str | None = None
    timeout_s: float | None = None
    json: bool = False


class _Command(TyperCommand):
    """Writes an argument that must be given as manuals do: plain, not in braces."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [
            piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)
        ]


def command(
    app: typer.Typer, name: str, *, by_line: bool = False
) -> Callable[[Callable[..., ExitCode]], Callable[..., ExitCode]]:
    """Make a function of a :class:`Session` and keywords a command of ``app``.

    Its answer is the exit code. What a user can cause ends in one readable block, never in a
    traceback. ``by_line``: its JSON is one document a line, a failure included.
    """

    def register(behaviour: Callable[..., ExitCode]) -> Callable[..., ExitCode]:
        def run(ctx: typer.Context, **given: Any) -> None:
            own = Given(
                target=given.pop("target"),
                timeout_s=given.pop("timeout_s"),
                json=given.pop("json"),
            )
            merged = given_so_far(ctx, own)
            screen = Screen(as_json=merged.json, by_line=by_line)
            raise typer.Exit(_run(lambda session: behaviour(session, **given), merged, screen))

        signature = _with_options(behaviour)
        run.__doc__ = behaviour.__doc__
        run.__signature__ = signature  # type: ignore[attr-defined]
        run.__annotations__ = {key: one.annotation for key, one in signature.parameters.items()}
        app.command(name, cls=_Command)(run)
        return behaviour

    return register


def reached(failure: Failure) -> ExitCode:
    """The exit code of a failure: not reached, reached and undecided, or refused."""
    if unanswered(failure):
        return ExitCode.UNREACHABLE
    return ExitCode.UNDECIDED if undecided(failure) else ExitCode.REFUSED


def explained(failure: Failure, target: str) -> Failure:
    """Say in words what a channel's own failure means; the gateway's stay as they are."""
    if not unanswered(failure):
        return failure
    said = Failure()
    said.CopyFrom(failure)
    said.message = f"no answer from the gateway at {target}: {failure.message}"
    return said


def _run(behaviour: Callable[[Session], ExitCode], given: Given, screen: Screen) -> int:
    try:
        with _session(given, screen) as session:
            return behaviour(session)
    except CallFailed as error:
        said = explained(error.failure, given.target or DEFAULT_TARGET)
        screen.refusal(said, advised=error.advised)
        return reached(error.failure)
    except Unusable as error:
        screen.note(f"taxctl: {error}")
        return ExitCode.UNUSABLE
    except KeyboardInterrupt:
        screen.note("taxctl: interrupted; what was sent may have taken effect")
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our answer has had enough; the interpreter must not flush into the void.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.REFUSED


@contextmanager
def _session(given: Given, screen: Screen) -> Iterator[Session]:
    timeout_s = DEFAULT_TIMEOUT_S if given.timeout_s is None else given.timeout_s
    if given.target == "":  # most likely an unset variable: no guessing which gateway was meant
        raise Unusable("--target must be HOST:PORT, not empty")
    connection = connect(given.target or DEFAULT_TARGET, timeout_s=timeout_s)
    with connection.channel:
        yield Session(connection=connection, screen=screen)


def given_so_far(ctx: typer.Context, own: Given) -> Given:
    """Merge what stands before a command with its own, which wins."""
    before = ctx.obj if isinstance(ctx.obj, Given) else Given()
    return Given(
        target=before.target if own.target is None else own.target,
        timeout_s=before.timeout_s if own.timeout_s is None else own.timeout_s,
        json=before.json or own.json,
    )


def _with_options(behaviour: Callable[..., ExitCode]) -> inspect.Signature:
    """The signature that typer reads: the command's own parameters and the three of all."""
    parameters = list(inspect.signature(behaviour).parameters.values())[1:]
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter("target", keyword, default=None, annotation=TargetOption),
        inspect.Parameter("timeout_s", keyword, default=None, annotation=TimeoutOption),
        inspect.Parameter("json", keyword, default=False, annotation=JsonOption),
    ]
    context = inspect.Parameter(
        "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    return inspect.Signature([context, *parameters, *shared])
