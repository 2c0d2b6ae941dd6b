"""What every command starts from: where the gateway is, how long to wait, how to answer.

``--target``, ``--timeout`` and ``--json`` are taken before the command and after it; after wins.
"""

import getpass
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, Final

import typer
from google.rpc import code_pb2
from typer.core import TyperCommand, TyperGroup

from taxcontrol.v1.invoice_service_pb2 import Failure
from taxctl.connection import DEFAULT_TARGET, DEFAULT_TIMEOUT_S, Connection, connect
from taxctl.failure import CallFailed, unanswered, undecided
from taxctl.help_text import Formatter
from taxctl.screen import Screen
from taxctl.words import Language, tr, use

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
_OPERATOR_HELP: Final = (
    "Who you are, for the audit record. Default: $TAXCTL_OPERATOR, or the login name."
)
OperatorOption = Annotated[
    str | None, typer.Option("--operator", metavar="NAME", help=_OPERATOR_HELP)
]
EnvironmentOperatorOption = Annotated[
    str | None,
    typer.Option(
        "--operator",
        envvar="TAXCTL_OPERATOR",
        show_envvar=False,
        metavar="NAME",
        help=_OPERATOR_HELP,
    ),
]
LanguageOption = Annotated[
    Language | None,
    typer.Option("--lang", help="Language of what people read. Default: that of the locale."),
]
_OPERATOR_CHARACTERS_MAX: Final = 64
# What gRPC metadata can carry; blanks around it would be lost on the way.
_OPERATOR: Final = re.compile(r"[!-~](?:[ -~]{0,62}[!-~])?")
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
    operator: str | None = None
    language: Language | None = None


class Group(TyperGroup):
    """A group of commands whose help is written by our formatter."""

    def get_help(self, ctx: Any) -> str:
        """Its help."""
        ctx.formatter_class = Formatter
        return super().get_help(ctx)


class _Command(TyperCommand):
    """Writes an argument that must be given as manuals do: plain, not in braces."""

    def get_help(self, ctx: Any) -> str:
        """Its help."""
        ctx.formatter_class = Formatter
        return super().get_help(ctx)

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
                operator=given.pop("operator"),
                language=given.pop("language"),
            )
            merged = given_so_far(ctx, own)
            if merged.json:  # for programs, whatever the locale
                use(Language.EN)
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
    if unanswered(failure):
        told = tr("no answer from the gateway at {target}: {message}")
    elif failure.code == code_pb2.UNIMPLEMENTED and not failure.reason:
        told = tr("the gateway at {target} is older than taxctl and does not know this call")
    else:
        return failure
    said = Failure()
    said.CopyFrom(failure)
    said.message = told.format(target=target, message=failure.message)
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
        screen.note(tr("taxctl: interrupted; what was sent may have taken effect"))
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our answer has had enough; the interpreter must not flush into the void.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.REFUSED


@contextmanager
def _session(given: Given, screen: Screen) -> Iterator[Session]:
    timeout_s = DEFAULT_TIMEOUT_S if given.timeout_s is None else given.timeout_s
    if given.target == "":  # most likely an unset variable: no guessing which gateway was meant
        raise Unusable(tr("--target must be HOST:PORT, not empty"))
    connection = connect(
        given.target or DEFAULT_TARGET, timeout_s=timeout_s, operator=_operator(given.operator)
    )
    with connection.channel:
        yield Session(connection=connection, screen=screen)


def login_name() -> str:
    """The login name as far as metadata can carry it; ``unknown`` where nothing of it is left."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # nobody: neither the environment nor the system has a name
        name = ""
    kept = "".join(char for char in name if char.isascii() and char.isprintable())
    return kept.strip()[:_OPERATOR_CHARACTERS_MAX].strip() or "unknown"


def _operator(given: str | None) -> str:
    if given is None:
        return login_name()
    if _OPERATOR.fullmatch(given) is None:
        raise Unusable(tr("--operator must be 1 to 64 printable ASCII characters"))
    return given


def given_so_far(ctx: typer.Context, own: Given) -> Given:
    """Merge what stands before a command with its own, which wins."""
    before = ctx.obj if isinstance(ctx.obj, Given) else Given()
    return Given(
        target=before.target if own.target is None else own.target,
        timeout_s=before.timeout_s if own.timeout_s is None else own.timeout_s,
        json=before.json or own.json,
        operator=before.operator if own.operator is None else own.operator,
        language=before.language if own.language is None else own.language,
    )


def _with_options(behaviour: Callable[..., ExitCode]) -> inspect.Signature:
    """The signature that typer reads: the command's own parameters and those of all."""
    parameters = list(inspect.signature(behaviour).parameters.values())[1:]
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter("target", keyword, default=None, annotation=TargetOption),
        inspect.Parameter("timeout_s", keyword, default=None, annotation=TimeoutOption),
        inspect.Parameter("json", keyword, default=False, annotation=JsonOption),
        inspect.Parameter("operator", keyword, default=None, annotation=OperatorOption),
        inspect.Parameter("language", keyword, default=None, annotation=LanguageOption),
    ]
    context = inspect.Parameter(
        "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    return inspect.Signature([context, *parameters, *shared])
