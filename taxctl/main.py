"""The commands, and the options before them."""

import sys
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import typer

from taxctl import (
    alert_commands,
    alert_threshold_commands,
    device_commands,
    period_commands,
    stock_back_commands,
    stock_commands,
    taxpayer_commands,
    threshold_commands,
    upload_commands,
    upload_steering,
)
from taxctl.application import Application
from taxctl.audit_command import audit
from taxctl.doctor_command import doctor
from taxctl.get_command import get
from taxctl.issue_command import issue
from taxctl.limits_command import limits
from taxctl.list_command import list_invoices
from taxctl.reversal_commands import reverse, void
from taxctl.session import (
    EnvironmentOperatorOption,
    EnvironmentTargetOption,
    Given,
    Group,
    JsonOption,
    LanguageOption,
    OperatorOption,
    TargetOption,
    TimeoutOption,
    command,
    given_so_far,
)
from taxctl.top_command import top
from taxctl.verify_command import verify
from taxctl.void_blank_command import void_blank
from taxctl.watch_command import watch

_HELP = """Operate a tax-control gateway.

Every command takes --target, --timeout, --operator, --lang and --json, before or after its name.

With --json a command prints one JSON document: the contract's reply, with its field names, 64-bit
numbers and bytes as text, a list with all its pages, in UTF-8. list, watch, alerts watch and top
print one on each line instead. A failed call is {"error": ...} with the fields of the contract's Failure. Errors of usage go
to standard error. Tables leave out what a narrow terminal has no room for and name it; --json has all.

What cannot be taken back (reverse, void, void-blank, stock recall and return, upload retry, period
close, device rotate-key), or holds up work (upload pause and rate, taxpayer limits), is shown and asked for first. --yes does not ask, --dry-run shows
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
    pretty_exceptions_enable=False,
    # Help texts hold brackets of ours: plain text, no markup.
    rich_markup_mode=None,
)


def _group(parent: typer.Typer, name: str, help: str) -> typer.Typer:
    group = typer.Typer(help=help, cls=Group, no_args_is_help=True)
    parent.add_typer(group, name=name)
    return group


_stock = _group(app, "stock", "Numbers left, drawn, assigned and given back.")
_threshold = _group(
    _stock, "threshold", "When stock counts as low, and whether it is filled up by itself."
)
_upload = _group(app, "upload", "What has not reached the authority, and how fast it goes.")
_taxpayer = _group(app, "taxpayer", "Registered sellers.")
_alerts = _group(app, "alerts", "Troubles that stand, and who looks after them.")
_alert_thresholds = _group(_alerts, "thresholds", "From where on an alert is raised.")
_device = _group(app, "device", "Signing devices: how they are, and their keys.")
_period = _group(app, "period", "Months: their statistics, and closing them.")

command(app, "top", by_line=True)(top)
command(app, "issue")(issue)
command(app, "get")(get)
command(app, "list", by_line=True)(list_invoices)
command(app, "watch", by_line=True)(watch)
command(app, "reverse")(reverse)
command(app, "void")(void)
command(app, "void-blank")(void_blank)
command(app, "verify")(verify)
command(app, "doctor")(doctor)
command(app, "audit")(audit)
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
command(_taxpayer, "limits")(limits)
command(_threshold, "show")(threshold_commands.show)
command(_threshold, "set")(threshold_commands.set_threshold)
command(_threshold, "clear")(threshold_commands.clear)
command(_alerts, "list")(alert_commands.list_alerts)
command(_alerts, "watch", by_line=True)(alert_commands.watch_alerts)
command(_alerts, "ack")(alert_commands.acknowledge)
command(_alert_thresholds, "show")(alert_threshold_commands.show)
command(_alert_thresholds, "set")(alert_threshold_commands.set_thresholds)
command(_device, "list")(device_commands.list_devices)
command(_device, "monitor")(device_commands.monitor)
command(_device, "rotate-key")(device_commands.rotate_key)
command(_period, "show")(period_commands.show)
command(_period, "close")(period_commands.close)


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
    operator: EnvironmentOperatorOption = None,
    language: LanguageOption = None,
    version: Annotated[  # noqa: ARG001 - its callback has done it
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    ctx.obj = Given(
        target=target, timeout_s=timeout_s, json=json, operator=operator, language=language
    )


def _options_of_group(
    ctx: typer.Context,
    *,
    target: TargetOption = None,
    timeout_s: TimeoutOption = None,
    json: JsonOption = False,
    operator: OperatorOption = None,
    language: LanguageOption = None,
) -> None:
    own = Given(target=target, timeout_s=timeout_s, json=json, operator=operator, language=language)
    ctx.obj = given_so_far(ctx, own)


for _one in (
    *(_stock, _threshold, _upload, _taxpayer),
    *(_alerts, _alert_thresholds, _device, _period),
):
    _one.callback()(_options_of_group)


def run() -> None:
    """Run ``taxctl`` with the command line of the process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # Whatever the locale cannot show is spelled out rather than a fault.
            stream.reconfigure(errors="backslashreplace")
    app()
