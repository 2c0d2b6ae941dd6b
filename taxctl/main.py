"""The commands, and the options before them."""

import sys
from io import TextIOWrapper

import typer

from taxctl import stock_commands, taxpayer_commands, upload_commands
from taxctl.doctor_command import doctor
from taxctl.get_command import get
from taxctl.issue_command import issue
from taxctl.session import (
    EnvironmentTargetOption,
    Given,
    JsonOption,
    TimeoutOption,
    command,
)

_HELP = """Operate a tax-control gateway.

Every command takes --target, --timeout and --json, before or after its name.

With --json a command prints one JSON document: the contract's reply, with its field names, 64-bit
numbers and bytes as text, a list with all its pages. A failed call is {"error": ...} with the fields
of the contract's Failure. Errors of usage go to standard error.

Exit code: 0 done, 1 refused, 2 wrong usage or an unreadable file, 3 the gateway was not reached,
130 interrupted.
"""

app = typer.Typer(
    name="taxctl",
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Help texts hold brackets of ours: plain text, no markup.
    rich_markup_mode=None,
)
_stock = typer.Typer(help="Numbers left, drawn and assigned.", no_args_is_help=True)
_upload = typer.Typer(help="What has not reached the authority.", no_args_is_help=True)
_taxpayer = typer.Typer(help="Registered sellers.", no_args_is_help=True)
app.add_typer(_stock, name="stock")
app.add_typer(_upload, name="upload")
app.add_typer(_taxpayer, name="taxpayer")

command(app, "issue")(issue)
command(app, "get")(get)
command(app, "doctor")(doctor)
command(_stock, "show")(stock_commands.show)
command(_stock, "draw")(stock_commands.draw)
command(_stock, "assign")(stock_commands.assign)
command(_stock, "segments")(stock_commands.segments)
command(_upload, "status")(upload_commands.status)
command(_upload, "list")(upload_commands.list_unuploaded)
command(_taxpayer, "register")(taxpayer_commands.register)
command(_taxpayer, "list")(taxpayer_commands.list_all)
command(_taxpayer, "show")(taxpayer_commands.show)


@app.callback()
def _options(
    ctx: typer.Context,
    target: EnvironmentTargetOption = None,
    timeout_s: TimeoutOption = None,
    json: JsonOption = False,  # noqa: FBT002 - typer calls it by name
) -> None:
    ctx.obj = Given(target=target, timeout_s=timeout_s, json=json)


def run() -> None:
    """Run ``taxctl`` with the command line of the process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # Whatever the locale cannot show is spelled out rather than a fault.
            stream.reconfigure(errors="backslashreplace")
    app()
