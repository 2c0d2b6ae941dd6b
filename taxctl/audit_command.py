"""``taxctl audit``: who did what, when and why."""

from collections.abc import Iterator
from typing import Annotated, Final

import typer

from taxcontrol.admin.v1.audit_service_pb2 import (
    AuditRecord,
    ListAuditRecordsRequest,
    ListAuditRecordsResponse,
)
from taxcontrol.admin.v1.audit_service_pb2_grpc import AuditServiceStub
from taxctl.names import taxpayer_name
from taxctl.screen import as_dict, civil
from taxctl.session import ExitCode, Session
from taxctl.table import Column
from taxctl.words import tr

_PAGE_SIZE: Final = 1000
_COLUMNS: Final = (
    Column("when"),
    Column("who", fold=10),
    Column("what", fold=16),
    Column("to which", fold=18, rank=1),
    Column("why", fold=14),
    Column("request id", rank=2),
)


def audit(
    session: Session,
    *,
    resource: Annotated[
        str,
        typer.Argument(
            metavar="RESOURCE",
            help="Only about this and what is under it: a tax number, or a name such as"
            " taxpayers/{tax number}/points/{n}.",
            show_default=False,
        ),
    ] = "",
    by: Annotated[
        str, typer.Option("--by", metavar="NAME", help="Only by this operator.", show_default=False)
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
) -> ExitCode:
    """List what operators did, the newest first: who, what, when and why; --json has the effects too.

    Exit code: 0 listed, 1 refused, 2 wrong usage, 3 the gateway was not reached, 4 it could not look
    now.
    """
    parent = resource if "/" in resource or not resource else taxpayer_name(resource)
    request = ListAuditRecordsRequest(parent=parent, actor=by)
    more: list[bool] = []
    found = list(_records(session, request, limit, more))
    if session.screen.as_json:
        session.screen.document(as_dict(ListAuditRecordsResponse(records=found)))
    else:
        session.screen.table(_COLUMNS, map(_cells, found), tr("nothing is on record"))
    if more:
        session.screen.note(
            tr("taxctl: {count} listed, and there are more: raise --limit").format(count=len(found))
        )
    return ExitCode.DONE


def _records(
    session: Session, request: ListAuditRecordsRequest, limit: int, more: list[bool]
) -> Iterator[AuditRecord]:
    """Yield at most ``limit`` records; ``more`` is filled when that were not all."""
    stub = AuditServiceStub(session.connection.channel)
    left = limit
    while True:
        request.page_size = min(_PAGE_SIZE, left)
        page = session.connection.call(stub.ListAuditRecords, request)
        found = list(page.records)[:left]
        yield from found
        left -= len(found)
        if not page.next_page_token:
            return
        if left == 0:
            more.append(True)
            return
        request.page_token = page.next_page_token


def _cells(record: AuditRecord) -> list[str]:
    return [
        civil(record.act_time),
        record.actor,
        record.action,
        record.target.removeprefix("taxpayers/"),
        record.reason,
        record.request_id,
    ]
