"""``taxctl stock``: what is left, drawing, assigning, segments."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from taxcontrol.admin.v1.segment_pb2 import Segment
from taxcontrol.admin.v1.stock_admin_service_pb2 import (
    AssignStockRequest,
    DrawStockRequest,
    Grant,
    ListSegmentsRequest,
    ListSegmentsResponse,
)
from taxcontrol.admin.v1.stock_admin_service_pb2_grpc import StockAdminServiceStub
from taxcontrol.v1 import error_reason_pb2
from taxcontrol.v1.stock_service_pb2 import GetStockRequest
from taxcontrol.v1.stock_service_pb2_grpc import StockServiceStub
from taxctl.failure import CallFailed
from taxctl.names import (
    CountOption,
    DryRunOption,
    OnePointOption,
    OneTypeOption,
    PointOption,
    ReasonOption,
    RequestIdOption,
    TaxpayerArgument,
    TypeOption,
    parent_name,
    point_name,
    point_number,
    request_id_of,
    taxpayer_name,
)
from taxctl.screen import as_dict, fact
from taxctl.session import ExitCode, Session
from taxctl.table import Column
from taxctl.wire_words import word
from taxctl.words import tr

_PAGE_SIZE: Final = 1000
SEGMENT_COLUMNS: Final = (
    Column("segment", right=True),
    Column("type"),
    Column("point"),
    Column("code"),
    Column("first"),
    Column("last", rank=5),
    Column("numbers", right=True, rank=6),
    Column("left", right=True),
    Column("next", rank=3),
    Column("returning", right=True, rank=1),
    Column("returned", right=True, rank=1),
    Column("issue until", rank=4),
)


def show(
    session: Session,
    *,
    taxpayer: TaxpayerArgument,
    point: OnePointOption = None,
    type: OneTypeOption = "",
) -> ExitCode:
    """Show what a taxpayer's pool and points have left.

    Exit code: 0 shown, 1 refused, 2 wrong usage, 3 the gateway was not reached, 4 it could not look
    now.
    """
    stub = StockServiceStub(session.connection.channel)
    request = GetStockRequest(parent=parent_name(taxpayer, point), type=type)
    found = session.connection.call(stub.GetStock, request)
    if session.screen.as_json:
        session.screen.document(as_dict(found))
        return ExitCode.DONE
    columns = (
        Column("point"),
        Column("type"),
        Column("left", right=True),
        Column("next code"),
        Column("next number"),
        Column("issue until", rank=1),
    )
    rows = [
        [
            point_number(level.point),
            level.type,
            f"{level.available_count:,}",
            level.next_code,
            level.next_number,
            level.issue_deadline,
        ]
        for level in found.levels
    ]
    session.screen.table(columns, rows, tr("no stock was ever drawn"))
    return ExitCode.DONE


def draw(
    session: Session,
    *,
    taxpayer: TaxpayerArgument,
    type: TypeOption,
    count: CountOption,
    request_id: RequestIdOption = "",
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
) -> ExitCode:
    """Draw numbers from the authority into a taxpayer's pool.

    Where the authority does not answer, the draw goes on by itself, and the same --request-id tells how
    it ended; a new one draws once more. Exit code: 0 drawn, 1 refused, 2 wrong usage, 3 the gateway was
    not reached, 4 effect unknown.
    """
    used_id = request_id_of(request_id, session.screen)
    request = DrawStockRequest(
        request_id=used_id,
        parent=taxpayer_name(taxpayer),
        type=type,
        count=count,
        reason=reason,
        validate_only=dry_run,
    )
    stub = StockAdminServiceStub(session.connection.channel)
    with going_on(
        tr(
            "the draw is on record and goes on by itself; --request-id {id} tells how it ended"
        ).format(id=used_id)
    ):
        answer = session.connection.call(stub.DrawStock, request)
    if session.screen.as_json:
        session.screen.document(as_dict(answer))
        return ExitCode.DONE
    session.screen.facts(
        [
            fact("grant", answer.grant.grant_id),
            fact("state", tr("would be drawn") if dry_run else _state(answer.grant)),
            fact("type", answer.grant.type),
            fact("code", answer.grant.code),
            fact("first", answer.grant.first_number),
            fact("last", answer.grant.last_number),
            fact("numbers", f"{answer.grant.total_count:,}"),
            fact("replayed", tr("yes") if answer.replayed else ""),
        ]
    )
    return ExitCode.DONE


def assign(
    session: Session,
    *,
    taxpayer: TaxpayerArgument,
    point: PointOption,
    type: TypeOption,
    count: CountOption,
    request_id: RequestIdOption = "",
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
) -> ExitCode:
    """Move numbers from a taxpayer's pool to an issuing point, the lowest first.

    Exit code: 0 assigned, 1 refused, 2 wrong usage, 3 the gateway was not reached, 4 effect
    unknown.
    """
    request = AssignStockRequest(
        request_id=request_id_of(request_id, session.screen),
        point=point_name(taxpayer, point),
        type=type,
        count=count,
        reason=reason,
        validate_only=dry_run,
    )
    stub = StockAdminServiceStub(session.connection.channel)
    answer = session.connection.call(stub.AssignStock, request)
    if session.screen.as_json:
        session.screen.document(as_dict(answer))
        return ExitCode.DONE
    session.screen.table(
        SEGMENT_COLUMNS, map(segment_cells, answer.segments), tr("nothing was assigned")
    )
    if dry_run:
        session.screen.note(tr("nothing was changed"))
    elif answer.replayed:
        session.screen.note(tr("an earlier call with this request id assigned them"))
    return ExitCode.DONE


def segments(session: Session, *, taxpayer: TaxpayerArgument) -> ExitCode:
    """List the segments of a taxpayer.

    Exit code: 0 listed, 1 refused, 2 wrong usage, 3 the gateway was not reached, 4 it could not
    look now.
    """
    found = ListSegmentsResponse(segments=_all_segments(session, taxpayer_name(taxpayer)))
    if session.screen.as_json:
        session.screen.document(as_dict(found))
    else:
        session.screen.table(SEGMENT_COLUMNS, map(segment_cells, found.segments), tr("no segments"))
    return ExitCode.DONE


def _all_segments(session: Session, parent: str) -> Iterator[Segment]:
    stub = StockAdminServiceStub(session.connection.channel)
    request = ListSegmentsRequest(parent=parent, page_size=_PAGE_SIZE)
    while True:
        page = session.connection.call(stub.ListSegments, request)
        yield from page.segments
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def segment_cells(segment: Segment) -> list[str]:
    """A row for :data:`SEGMENT_COLUMNS`."""
    return [
        str(segment.segment_id),
        segment.type,
        point_number(segment.point),
        segment.code,
        segment.first_number,
        segment.last_number,
        f"{segment.total_count:,}",
        f"{segment.available_count:,}",
        segment.next_number,
        f"{segment.returning_count:,}" if segment.returning_count else "",
        f"{segment.returned_count:,}" if segment.returned_count else "",
        segment.issue_deadline,
    ]


@contextmanager
def going_on(advised: str) -> Iterator[None]:
    """Say of a call that only the authority has not answered that the gateway goes on with it."""
    try:
        yield
    except CallFailed as error:
        if error.failure.reason == error_reason_pb2.ERROR_REASON_AUTHORITY_UNAVAILABLE:
            raise CallFailed(error.failure, advised=advised) from error
        raise


def _state(grant: Grant) -> str:
    return word(Grant.State.Name, grant.state, "STATE_")
