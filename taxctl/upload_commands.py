"""``taxctl upload``: what has not reached the authority."""

from collections.abc import Iterator
from typing import Annotated

import typer

from taxcontrol.admin.v1.upload_admin_service_pb2 import (
    GetUploadStatusRequest,
    ListUnuploadedRequest,
    ListUnuploadedResponse,
)
from taxcontrol.admin.v1.upload_admin_service_pb2_grpc import UploadAdminServiceStub
from taxcontrol.admin.v1.upload_pb2 import Meter, UnuploadedEvent, UploadStatus
from taxcontrol.v1.invoice_pb2 import Invoice
from taxctl.names import TaxpayerArgument, taxpayer_name
from taxctl.screen import Column, as_dict, civil, yuan
from taxctl.session import ExitCode, Session
from taxctl.taxpayers import all_taxpayers

_PAGE_SIZE = 1000


def status(
    session: Session,
    *,
    taxpayer: Annotated[
        str,
        typer.Argument(
            metavar="[TAXPAYER]",
            help="Tax number, or taxpayers/{tax number}. All of them when left out.",
            show_default=False,
        ),
    ] = "",
) -> ExitCode:
    """Show where the uploads stand, and what is left of the offline limits.

    With ``--json`` the document is ``{"statuses": […]}``. Exit code: 0 shown, 1 refused, 2 wrong
    usage, 3 the gateway was not reached.
    """
    names = (
        [taxpayer_name(taxpayer)]
        if taxpayer
        else [found.name for found in all_taxpayers(session.connection)]
    )
    stub = UploadAdminServiceStub(session.connection.channel)
    found = [
        session.connection.call(stub.GetUploadStatus, GetUploadStatusRequest(parent=name)).status
        for name in names
    ]
    if session.screen.as_json:
        session.screen.document({"statuses": [as_dict(one) for one in found]})
        return ExitCode.DONE
    _print_backlogs(session, found)
    _print_meters(session, found)
    return ExitCode.DONE


def list_unuploaded(session: Session, *, taxpayer: TaxpayerArgument) -> ExitCode:
    """List the events of a taxpayer that the authority has not accepted, oldest first.

    Exit code: 0 listed, 1 refused, 2 wrong usage, 3 the gateway was not reached.
    """
    found = ListUnuploadedResponse(events=_all_events(session, taxpayer_name(taxpayer)))
    if session.screen.as_json:
        session.screen.document(as_dict(found))
        return ExitCode.DONE
    columns = (
        Column("invoice"),
        Column("event"),
        Column("type"),
        Column("issued at"),
        Column("net (yuan)", right=True),
        Column("state"),
        Column("tries", right=True),
        Column("rejection"),
    )
    session.screen.table(columns, map(_event_cells, found.events), "everything is uploaded")
    return ExitCode.DONE


def _print_backlogs(session: Session, found: list[UploadStatus]) -> None:
    columns = (
        Column("taxpayer"),
        Column("pending", right=True),
        Column("submitted", right=True),
        Column("in doubt", right=True),
        Column("rejected", right=True),
        Column("oldest"),
        Column("stops at"),
        Column("rate", right=True),
        Column("windows"),
        Column("last error"),
    )
    session.screen.table(columns, map(_backlog_cells, found), "no taxpayer is registered")


def _backlog_cells(status: UploadStatus) -> list[str]:
    return [
        status.taxpayer,
        f"{status.pending_count:,}",
        f"{status.submitted_count:,}",
        f"{status.in_doubt_count:,}",
        f"{status.rejected_count:,}",
        civil(status.oldest_issue_time),
        civil(status.age_limit_time),
        f"{status.rate_share_ppm / 10_000:g} %",
        " ".join(
            f"{window.used_count}/{window.call_count_max} in {window.period_ms / 1000:g} s"
            for window in status.windows
        ),
        status.last_error,
    ]


def _print_meters(session: Session, found: list[UploadStatus]) -> None:
    rows = [[status.taxpayer, *_meter_cells(meter)] for status in found for meter in status.meters]
    if not rows:
        return
    columns = (
        Column("taxpayer"),
        Column("device"),
        Column("type"),
        Column("not uploaded", right=True),
        Column("amount (yuan)", right=True),
        Column("count left", right=True),
        Column("amount left (yuan)", right=True),
        Column("last issue"),
    )
    session.screen.line("")
    session.screen.table(columns, rows, "")


def _meter_cells(meter: Meter) -> list[str]:
    return [
        meter.machine_number,
        meter.type,
        f"{meter.unuploaded_count:,}",
        yuan(meter.unuploaded_amount_fen),
        f"{meter.left_count:,}" if meter.HasField("left_count") else "no limit",
        yuan(meter.left_amount_fen) if meter.HasField("left_amount_fen") else "no limit",
        civil(meter.last_issue_time),
    ]


def _all_events(session: Session, parent: str) -> Iterator[UnuploadedEvent]:
    stub = UploadAdminServiceStub(session.connection.channel)
    request = ListUnuploadedRequest(parent=parent, page_size=_PAGE_SIZE)
    while True:
        page = session.connection.call(stub.ListUnuploaded, request)
        yield from page.events
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _event_cells(event: UnuploadedEvent) -> list[str]:
    state = Invoice.UploadState.Name(event.state).removeprefix("UPLOAD_STATE_")
    return [
        event.invoice,
        UnuploadedEvent.Event.Name(event.event).removeprefix("EVENT_").lower(),
        event.type,
        civil(event.issue_time),
        yuan(event.net_fen),
        state.lower().replace("_", " "),
        str(event.attempt_count),
        event.rejection,
    ]
