"""The commands, and the options before them."""

import sys
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import typer

from taxctl import (
    stock_back_commands,
    stock_commands,
    taxpayer_commands,
    upload_commands,
    upload_steering,
)
from taxctl.application import Application
from taxctl.doctor_command import doctor
from taxctl.get_command import get
from taxctl.issue_command import issue
from taxctl.list_command import list_invoices
from taxctl.reversal_commands import reverse, void
from taxctl.session import (
    EnvironmentTargetOption,
    Given,
    JsonOption,
    TargetOption,
    TimeoutOption,
    command,
    given_so_far,
)
from taxctl.verify_command import verify
from taxctl.void_blank_command import void_blank
from taxctl.watch_command import watch

_HELP = """Operate a tax-control gateway.

Every command takes --target, --timeout and --json, before or after its name.

With --json a command prints one JSON document: the contract's reply, with its field names, 64-bit
numbers and bytes as text, a list with all its pages, in UTF-8. list and watch print one on each line
instead. A failed call is {"error": ...} with the fields of the contract's Failure. Errors of usage go
to standard error. Tables leave out what a narrow terminal has no room for and name it; --json has all.

What cannot be taken back (reverse, void, void-blank, stock recall and return, upload retry), or holds
up uploads (upload pause and rate), is shown and asked for first. --yes does not ask, --dry-run shows
and changes nothing. Without a terminal one of the two must be given.

Exit code: 0 done, 1 refused, 2 wrong usage or an unreadable file, 3 the gateway was not reached, 4
the gateway cannot say now: the effect of a write is unknown, and the same --request-id tells it, 130
interrupted. verify has more of them.
"""

app = typer.Typer(
    name="taxctl",
    cls=Application,
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Help texts hold brackets of ours: plain text, no markup.
    rich_markup_mode=None,
)
_stock = typer.Typer(help="Numbers left, drawn, assigned and given back.", no_args_is_help=True)
_upload = typer.Typer(
    help="What has not reached the authority, and how fast it goes.", no_args_is_help=True
)
_taxpayer = typer.Typer(help="Registered sellers.", no_args_is_help=True)
app.add_typer(_stock, name="stock")
app.add_typer(_upload, name="upload")
app.add_typer(_taxpayer, name="taxpayer")

command(app, "issue")(issue)
command(app, "get")(get)
command(app, "list", by_line=True)(list_invoices)
command(app, "watch", by_line=True)(watch)
command(app, "reverse")(reverse)
command(app, "void")(void)
command(app, "void-blank")(void_blank)
command(app, "verify")(verify)
command(app, "doctor")(doctor)
command(_stock, "show")(stock_commands.show)
command(_stock, "draw")(stock_commands.draw)
command(_stock, "assign")(stock_commands.assign)
command(_stock, "recall")(stock_back_commands.recall)
command(_stock, "return")(stock_back_commands.give_back)
command(_stock, "segments")(stock_commands.segments)
command(_upload, "status")(upload_commands.status)
command(_upload, "list")(upload_commands.list_unuploaded)
command(_upload, "retry")(upload_steering.retry)
command(_upload, "pause")(upload_steering.pause)
command(_upload, "resume")(upload_steering.resume)
command(_upload, "rate")(upload_steering.rate)
command(_taxpayer, "register")(taxpayer_commands.register)
command(_taxpayer, "list")(taxpayer_commands.list_all)
command(_taxpayer, "show")(taxpayer_commands.show)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's way to call it
    if wanted:
        typer.echo(f"taxctl {version('taxcontrol')}")
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    *,
    target: EnvironmentTargetOption = None,
    timeout_s: TimeoutOption = None,
    json: JsonOption = False,
    version: Annotated[  # noqa: ARG001 - its callback has done it
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    ctx.obj = Given(target=target, timeout_s=timeout_s, json=json)


def _options_of_group(
    ctx: typer.Context,
    *,
    target: TargetOption = None,
    timeout_s: TimeoutOption = None,
    json: JsonOption = False,
) -> None:
    ctx.obj = given_so_far(ctx, Given(target=target, timeout_s=timeout_s, json=json))


for _group in (_stock, _upload, _taxpayer):
    _group.callback()(_options_of_group)


def run() -> None:
    """Run ``taxctl`` with the command line of the process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # Whatever the locale cannot show is spelled out rather than a fault.
            stream.reconfigure(errors="backslashreplace")
    app()
