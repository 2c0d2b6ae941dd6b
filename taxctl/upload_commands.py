"""``taxctl upload``: what has not reached the authority."""

from collections.abc import Iterator
from typing import Annotated, Final

import typer

from taxcontrol.admin.v1.offline_pb2 import LimitUse
from taxcontrol.admin.v1.upload_admin_service_pb2 import (
    GetUploadStatusRequest,
    ListUnuploadedRequest,
    ListUnuploadedResponse,
)
from taxcontrol.admin.v1.upload_admin_service_pb2_grpc import UploadAdminServiceStub
from taxcontrol.admin.v1.upload_pb2 import Meter, UnuploadedEvent, UploadStatus
from taxctl.desk_rows import used_of
from taxctl.invoice_facts import Facts, upload_word
from taxctl.names import TaxpayerArgument, short_name, taxpayer_name
from taxctl.screen import as_dict, civil, fact, yuan
from taxctl.session import ExitCode, Session
from taxctl.table import FOLD, Column
from taxctl.taxpayers import all_taxpayers
from taxctl.windows import rates, uses
from taxctl.wire_words import grade_word, limit_word, word
from taxctl.words import tr

_PAGE_SIZE: Final = 1000
_METER_COLUMNS: Final = (
    Column("taxpayer"),
    Column("device", rank=6),
    Column("type"),
    Column("grade"),
    Column("counted offline", right=True),
    Column("amount (yuan)", right=True, rank=3),
    Column("count left", right=True, rank=2),
    Column("amount left (yuan)", right=True, rank=1),
    Column("oldest", rank=5),
    Column("last issue", rank=4),
)
_LIMIT_COLUMNS: Final = (
    Column("taxpayer"),
    Column("device", rank=3),
    Column("type"),
    Column("limit"),
    Column("used of", right=True, rank=2),
    Column("used", right=True),
    Column("grade"),
    Column("reached at", rank=1),
)


def status(
    session: Session,
    *,
    taxpayer: Annotated[
        str,
        typer.Argument(
            metavar="TAXPAYER",
            help="Tax number, or taxpayers/{tax number}. All of them when left out.",
            show_default=False,
        ),
    ] = "",
) -> ExitCode:
    """Show where the uploads stand, and what is left of the offline limits.

    The rate share is the part of what the windows allow that is used: halved when the authority
    throttles, growing back while it does not. Windows are calls/time, as upload rate takes them. What
    the authority has refused no longer counts offline. With --json the document is {"statuses": […]}.
    Exit code: 0 shown, 1 refused, 2 wrong usage, 3 the gateway was not reached, 4 it could not look
    now.
    """
    names = (
        [taxpayer_name(taxpayer)]
        if taxpayer
        else [found.name for found in all_taxpayers(session.connection)]
    )
    stub = UploadAdminServiceStub(session.connection.channel)
    found: list[UploadStatus] = []
    with session.screen.progress(tr("asking"), len(names)) as progress:
        for name in names:
            request = GetUploadStatusRequest(parent=name)
            found.append(session.connection.call(stub.GetUploadStatus, request).status)
            progress.reach(len(found), len(names))
    if session.screen.as_json:
        session.screen.document({"statuses": [as_dict(one) for one in found]})
        return ExitCode.DONE
    if taxpayer:
        session.screen.facts(_facts(found[0]))
    else:
        _print_backlogs(session, found)
    _print_meters(session, found)
    return ExitCode.DONE


def list_unuploaded(session: Session, *, taxpayer: TaxpayerArgument) -> ExitCode:
    """List the events of a taxpayer that the authority has not accepted, oldest first.

    Exit code: 0 listed, 1 refused, 2 wrong usage, 3 the gateway was not reached, 4 it could not
    look now.
    """
    found = ListUnuploadedResponse()
    parent = taxpayer_name(taxpayer)
    with session.screen.progress(tr("listing events"), None) as progress:
        for event in _all_events(session, parent):
            found.events.append(event)
            progress.reach(len(found.events))
    if session.screen.as_json:
        session.screen.document(as_dict(found))
        return ExitCode.DONE
    columns = (
        Column("invoice"),
        Column("event"),
        Column("type", rank=3),
        Column("issued at", rank=2),
        Column("net (yuan)", right=True, rank=1),
        Column("state"),
        Column("tries", right=True, rank=4),
        Column("rejection", fold=FOLD),
    )
    session.screen.table(columns, map(_event_cells, found.events), tr("everything is uploaded"))
    return ExitCode.DONE


def _facts(status: UploadStatus) -> Facts:
    resumed = civil(status.paused_until)
    until = tr("until {time}").format(time=resumed) if resumed else tr("until they are resumed")
    return [
        fact("taxpayer", status.taxpayer),
        fact("pending", f"{status.pending_count:,}"),
        fact("submitted", f"{status.submitted_count:,}"),
        fact("in doubt", f"{status.in_doubt_count:,}"),
        fact("rejected", f"{status.rejected_count:,}"),
        fact("oldest", civil(status.oldest_issue_time)),
        fact("issuing stops at", civil(status.age_limit_time)),
        fact("paused", until if status.paused else ""),
        fact("why paused", status.pause_reason),
        fact("rate share", tr("{share} of what the windows allow").format(share=_share(status))),
        fact("windows", uses(status.windows)),
        fact("windows set here", rates(status.set_windows)),
        fact("last error", status.last_error),
    ]


def _print_backlogs(session: Session, found: list[UploadStatus]) -> None:
    columns = (
        Column("taxpayer"),
        Column("pending", right=True),
        Column("submitted", right=True, rank=6),
        Column("in doubt", right=True, rank=5),
        Column("rejected", right=True),
        Column("paused"),
        Column("oldest", rank=2),
        Column("stops at", rank=1),
        Column("rate share", right=True, rank=7),
        Column("windows", rank=8),
        Column("last error", rank=3, fold=FOLD),
    )
    session.screen.table(columns, map(_backlog_cells, found), tr("no taxpayer is registered"))


def _backlog_cells(status: UploadStatus) -> list[str]:
    return [
        short_name(status.taxpayer),
        f"{status.pending_count:,}",
        f"{status.submitted_count:,}",
        f"{status.in_doubt_count:,}",
        f"{status.rejected_count:,}",
        tr("paused") if status.paused else "",
        civil(status.oldest_issue_time),
        civil(status.age_limit_time),
        _share(status),
        uses(status.windows),
        status.last_error,
    ]


def _share(status: UploadStatus) -> str:
    return f"{status.rate_share_ppm / 10_000:g} %"


def _print_meters(session: Session, found: list[UploadStatus]) -> None:
    several = len(found) > 1
    meters = [
        (short_name(status.taxpayer) if several else "", meter)
        for status in found
        for meter in status.meters
    ]
    if not meters:
        return
    session.screen.line("")
    session.screen.table(_METER_COLUMNS, [[name, *_meter_cells(one)] for name, one in meters], "")
    limits = [
        [name, *_limit_cells(meter, limit)] for name, meter in meters for limit in meter.limits
    ]
    if limits:
        session.screen.line("")
        session.screen.table(_LIMIT_COLUMNS, limits, "")


def _meter_cells(meter: Meter) -> list[str]:
    return [
        meter.machine_number,
        meter.type,
        grade_word(meter.grade) if meter.grade else "",
        f"{meter.unuploaded_count:,}",
        yuan(meter.unuploaded_amount_fen),
        f"{meter.left_count:,}" if meter.HasField("left_count") else tr("no limit"),
        yuan(meter.left_amount_fen) if meter.HasField("left_amount_fen") else tr("no limit"),
        civil(meter.oldest_issue_time),
        civil(meter.last_issue_time),
    ]


def _limit_cells(meter: Meter, limit: LimitUse) -> list[str]:
    return [
        meter.machine_number,
        meter.type,
        limit_word(limit.limit),
        used_of(limit),
        f"{limit.used_ppm // 10_000} %",
        grade_word(limit.grade),
        civil(limit.limit_time),
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
    return [
        short_name(event.invoice),
        word(UnuploadedEvent.Event.Name, event.event, "EVENT_"),
        event.type,
        civil(event.issue_time),
        yuan(event.net_fen),
        upload_word(event.state),
        str(event.attempt_count),
        event.rejection,
    ]
