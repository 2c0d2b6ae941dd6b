"""``taxctl alerts``: the troubles that stand, as they come, and who looks after them."""

import re
import time
from collections.abc import Iterator
from typing import Annotated, Final

import typer

from taxcontrol.admin.v1.alert_pb2 import Alert
from taxcontrol.admin.v1.alert_service_pb2 import (
    AcknowledgeAlertRequest,
    ListAlertsRequest,
    ListAlertsResponse,
    WatchAlertsRequest,
    WatchAlertsResponse,
)
from taxcontrol.admin.v1.alert_service_pb2_grpc import AlertServiceStub
from taxctl.alert_facts import message as sentence_of
from taxctl.alert_facts import place, worst_first
from taxctl.choices import AlertKindChoice
from taxctl.connection import Connection
from taxctl.following import TokenFileOption, first_token, follow
from taxctl.invoice_facts import Facts
from taxctl.names import (
    AnyTaxpayerArgument,
    DryRunOption,
    LimitOption,
    RequestIdOption,
    RequiredReasonOption,
    request_id_of,
    short_name,
    taxpayer_name,
)
from taxctl.screen import Screen, as_dict, civil, fact, padded
from taxctl.session import ExitCode, Session, Unusable
from taxctl.table import FOLD, Column
from taxctl.watching import watch as messages
from taxctl.wire_words import kind_word, severity_word, word
from taxctl.words import tr

_PAGE_SIZE: Final = 1000
_ALERTS: Final = "alerts/"
# A forecast has no seconds worth the room.
_MINUTES: Final = len("2026-11-22 10:30")
_ID: Final = re.compile(r"[0-9A-Za-z._:-]{1,120}")
_COLUMNS: Final = (
    Column("alert"),
    Column("severity"),
    Column("kind", fold=11),
    Column("where", fold=18, rank=1),
    Column("state", fold=12),
    Column("stops at", rank=2),
    Column("drained at", rank=4),
    Column("raised at", rank=3),
    Column("looked after by", rank=5, fold=12),
    Column("message", fold=FOLD, rank=6),
)


def list_alerts(
    session: Session,
    *,
    taxpayer: AnyTaxpayerArgument = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that are over; else those that stand.")
    ] = False,
    kind: Annotated[
        AlertKindChoice | None,
        typer.Option(
            metavar="KIND",
            help=f"Only of this kind: {', '.join(AlertKindChoice)}.",
            show_default=False,
        ),
    ] = None,
    limit: LimitOption = None,
) -> ExitCode:
    """List alerts: those that stand, the worst first; with --all also those that are over, newest first.

    Exit code: 0 listed, 1 refused, 2 wrong usage, 3 the gateway was not reached, 4 it could not look
    now.
    """
    request = ListAlertsRequest(
        parent=taxpayer_name(taxpayer) if taxpayer else "",
        open_only=not everything,
        kind=kind.wire if kind else Alert.KIND_UNSPECIFIED,
    )
    found = list(_pages(session.connection, request, limit))
    if not everything:
        found = worst_first(found)
    if session.screen.as_json:
        session.screen.document(as_dict(ListAlertsResponse(alerts=found)))
        return ExitCode.DONE
    empty = tr("no alert fits") if everything or kind else tr("no alert stands")
    session.screen.table(_COLUMNS, map(_cells, found), empty)
    return ExitCode.DONE


def watch_alerts(
    session: Session,
    *,
    taxpayer: AnyTaxpayerArgument = "",
    resume_token: Annotated[
        str,
        typer.Option(
            help="Go on behind the message with this token, of a watch of the same taxpayer."
            " Default: begin with the alerts that stand.",
            show_default=False,
        ),
    ] = "",
    token_file: TokenFileOption = None,
) -> ExitCode:
    """Print the alerts that stand, then every change of one, until Ctrl-C.

    A gateway that goes away is called again, and nothing is missed. With --json each change is one line,
    with its resume_token. --timeout does not apply. Exit code: 0 ended by Ctrl-C or SIGTERM, 1 refused, 2
    wrong usage or an unusable FILE, 3 the gateway was not reached at the start, 4 it could not look now.
    """
    request = WatchAlertsRequest(
        parent=taxpayer_name(taxpayer) if taxpayer else "",
        resume_token=first_token(resume_token, token_file),
    )
    stub = AlertServiceStub(session.connection.channel)
    follow(
        session,
        token_file,
        lambda interrupted: messages(
            session.connection, stub.WatchAlerts, request, interrupted=interrupted, sleep=time.sleep
        ),
        lambda message: _print(session.screen, message),
    )
    return ExitCode.DONE


def acknowledge(
    session: Session,
    *,
    name: Annotated[
        str, typer.Argument(metavar="ALERT", help="alerts/{id}, or the id, as the list shows it.")
    ],
    reason: RequiredReasonOption,
    request_id: RequestIdOption = "",
    dry_run: DryRunOption = False,
) -> ExitCode:
    """Say that you look after an alert, and what you do about it. It stands until its cause is gone.

    Exit code: 0 noted, or shown for a dry run, 1 refused, 2 wrong usage, 3 the gateway was not reached,
    4 effect unknown.
    """
    request = AcknowledgeAlertRequest(
        name=_name(name),
        request_id=request_id_of(request_id, session.screen),
        reason=reason,
        validate_only=dry_run,
    )
    stub = AlertServiceStub(session.connection.channel)
    answer = session.connection.call(stub.AcknowledgeAlert, request)
    if session.screen.as_json:
        session.screen.document(as_dict(answer))
        return ExitCode.DONE
    session.screen.facts(
        [*_facts(answer.alert), fact("replayed", tr("yes") if answer.replayed else "")]
    )
    if dry_run:
        session.screen.note(tr("nothing was changed"))
    return ExitCode.DONE


def _name(given: str) -> str:
    found = given.removeprefix(_ALERTS)
    if _ID.fullmatch(found) is None:
        raise Unusable(tr("{given!r} names no alert: give alerts/{{id}}").format(given=given))
    return f"{_ALERTS}{found}"


def _pages(
    connection: Connection, request: ListAlertsRequest, limit: int | None
) -> Iterator[Alert]:
    stub = AlertServiceStub(connection.channel)
    left = limit
    while left is None or left > 0:
        request.page_size = _PAGE_SIZE if left is None else min(_PAGE_SIZE, left)
        page = connection.call(stub.ListAlerts, request)
        found = list(page.alerts)[:left]
        yield from found
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
        left = None if left is None else left - len(found)


def _cells(alert: Alert) -> list[str]:
    return [
        short_name(alert.name),
        severity_word(alert),
        kind_word(alert),
        place(alert),
        _state(alert),
        civil(alert.limit_time)[:_MINUTES],
        civil(alert.drain_time)[:_MINUTES],
        civil(alert.raise_time)[:_MINUTES],
        alert.acknowledged_by,
        sentence_of(alert),
    ]


def _state(alert: Alert) -> str:
    return word(Alert.State.Name, alert.state, "STATE_")


def _facts(alert: Alert) -> Facts:
    return [
        fact("alert", alert.name),
        fact("kind", kind_word(alert)),
        fact("severity", severity_word(alert)),
        fact("state", _state(alert)),
        fact("where", place(alert)),
        fact("message", sentence_of(alert)),
        fact("stops at", civil(alert.limit_time)),
        fact("drained at", civil(alert.drain_time)),
        fact("raised at", civil(alert.raise_time)),
        fact("looked after by", alert.acknowledged_by),
        fact("because", alert.acknowledge_reason),
    ]


def _print(screen: Screen, told: WatchAlertsResponse) -> None:
    if not told.HasField("alert"):
        return
    if screen.as_json:
        screen.document(as_dict(told))
        return
    alert = told.alert
    at = told.change_time if told.HasField("change_time") else alert.raise_time
    what = word(WatchAlertsResponse.Change.Name, told.change, "CHANGE_")
    parts = [
        civil(at),
        padded(what, 12),
        padded(severity_word(alert), 8),
        short_name(alert.name),
        f"{place(alert)}: {sentence_of(alert)}",
    ]
    screen.line("  ".join(parts))
