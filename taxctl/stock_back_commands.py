"""``taxctl stock recall`` and ``return``: numbers on their way back."""

from typing import Annotated

import typer

from taxcontrol.admin.v1.stock_admin_service_pb2 import (
    RecallStockRequest,
    RecallStockResponse,
    ReturnStockRequest,
    ReturnStockResponse,
)
from taxcontrol.admin.v1.stock_admin_service_pb2_grpc import StockAdminServiceStub
from taxctl.consent import carry_out, rehearsed
from taxctl.names import (
    CountOption,
    DryRunOption,
    PointOption,
    ReasonOption,
    RequestIdOption,
    TaxpayerArgument,
    TypeOption,
    YesOption,
    point_name,
    point_number,
    taxpayer_name,
)
from taxctl.screen import as_dict, fact
from taxctl.session import ExitCode, Session
from taxctl.stock_commands import SEGMENT_COLUMNS, going_on, segment_cells
from taxctl.words import tr


def recall(
    session: Session,
    *,
    taxpayer: TaxpayerArgument,
    point: PointOption,
    type: TypeOption,
    count: CountOption,
    request_id: RequestIdOption = "",
    reason: ReasonOption = "",
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> ExitCode:
    """Move numbers that were not taken from a point back to the pool, the highest first.

    Asks first. Exit code: 0 recalled, or shown for a dry run, 1 refused or declined, 2 wrong usage
    or nobody to ask, 3 the gateway was not reached, 4 effect unknown.
    """
    place = point_name(taxpayer, point)

    def send(request_id: str, *, validate_only: bool) -> None:
        request = RecallStockRequest(
            request_id=request_id,
            point=place,
            type=type,
            count=count,
            reason=reason,
            validate_only=validate_only,
        )
        stub = StockAdminServiceStub(session.connection.channel)
        answer = session.connection.call(stub.RecallStock, request)
        _tell_recalled(session, answer)

    deed = rehearsed(
        tr("Recall {count:,} numbers of type {type} from {point}?").format(
            count=count, type=type, point=place
        ),
        send,
    )
    return carry_out(session, deed, request_id=request_id, yes=yes, dry_run=dry_run)


def give_back(
    session: Session,
    *,
    taxpayer: TaxpayerArgument,
    segment: Annotated[int, typer.Option(help="Id of the segment, as `stock segments` shows it.")],
    count: CountOption,
    request_id: RequestIdOption = "",
    reason: ReasonOption = "",
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> ExitCode:
    """Return the highest numbers of a segment to the authority.

    Asks first. From then on none of them can be issued, also while the authority does not answer.
    Exit code: 0 returned, or shown for a dry run, 1 refused or declined, 2 wrong usage or nobody to
    ask, 3 the gateway was not reached, 4 effect unknown.
    """
    parent = taxpayer_name(taxpayer)

    def send(request_id: str, *, validate_only: bool) -> None:
        request = ReturnStockRequest(
            request_id=request_id,
            parent=parent,
            segment_id=segment,
            count=count,
            reason=reason,
            validate_only=validate_only,
        )
        stub = StockAdminServiceStub(session.connection.channel)
        on_record = tr(
            "the return is on record and goes on by itself; --request-id {id} tells how it ended"
        ).format(id=request_id)
        with going_on(on_record):
            answer = session.connection.call(stub.ReturnStock, request)
        _tell_returned(session, answer, dry=validate_only)

    deed = rehearsed(
        tr("Return {count:,} numbers of segment {segment} of {taxpayer} to the authority?").format(
            count=count, segment=segment, taxpayer=parent
        ),
        send,
    )
    return carry_out(session, deed, request_id=request_id, yes=yes, dry_run=dry_run)


def _tell_recalled(session: Session, answer: RecallStockResponse) -> None:
    if session.screen.as_json:
        session.screen.document(as_dict(answer))
        return
    rows = map(segment_cells, answer.segments)
    session.screen.table(SEGMENT_COLUMNS, rows, tr("nothing was recalled"))
    if answer.replayed:
        session.screen.note(tr("an earlier call with this request id recalled them"))


def _tell_returned(session: Session, answer: ReturnStockResponse, *, dry: bool) -> None:
    if session.screen.as_json:
        session.screen.document(as_dict(answer))
        return
    segment = answer.segment
    session.screen.facts(
        [
            fact("segment", str(segment.segment_id) if segment.segment_id else ""),
            fact(
                "state", tr("would be returned") if dry and not answer.replayed else tr("returned")
            ),
            fact("type", segment.type),
            fact("point", point_number(segment.point)),
            fact("code", segment.code),
            fact("first", segment.first_number),
            fact("last", segment.last_number),
            fact("numbers", f"{segment.total_count:,}"),
            fact("return serial", answer.return_serial),
            fact("replayed", tr("yes") if answer.replayed else ""),
        ]
    )
