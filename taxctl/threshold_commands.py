"""``taxctl stock threshold``: when stock counts as low, and whether it is filled up by itself."""

from typing import Annotated, Final

import typer

from taxcontrol.admin.v1.stock_admin_service_pb2 import (
    ListStockThresholdsRequest,
    ListStockThresholdsResponse,
    SetStockThresholdRequest,
)
from taxcontrol.admin.v1.stock_admin_service_pb2_grpc import StockAdminServiceStub
from taxcontrol.admin.v1.stock_threshold_pb2 import StockThreshold
from taxctl.names import (
    DryRunOption,
    RequestIdOption,
    RequiredReasonOption,
    TaxpayerArgument,
    TypeOption,
    parent_name,
    point_number,
    request_id_of,
    taxpayer_name,
)
from taxctl.screen import as_dict
from taxctl.session import ExitCode, Session, Unusable
from taxctl.table import Column
from taxctl.words import tr

_COLUMNS: Final = (
    Column("point"),
    Column("type"),
    Column("low from", right=True),
    Column("filled up to", right=True),
    Column("by itself"),
)
WhichPointOption = Annotated[
    int | None,
    typer.Option(
        "--point",
        min=0,
        max=65535,
        help="This issuing point. Default: every point that has none of its own.",
    ),
]


def show(session: Session, *, taxpayer: TaxpayerArgument) -> ExitCode:
    """Show the stock thresholds that were set for a taxpayer.

    Without one stock counts as low when it lasts less than an hour. Exit code: 0 shown, 1 refused, 2
    wrong usage, 3 the gateway was not reached, 4 it could not look now.
    """
    stub = StockAdminServiceStub(session.connection.channel)
    request = ListStockThresholdsRequest(parent=taxpayer_name(taxpayer))
    found: ListStockThresholdsResponse = session.connection.call(stub.ListStockThresholds, request)
    if session.screen.as_json:
        session.screen.document(as_dict(found))
        return ExitCode.DONE
    session.screen.table(_COLUMNS, map(_cells, found.thresholds), tr("no threshold was set"))
    return ExitCode.DONE


def set_threshold(
    session: Session,
    *,
    taxpayer: TaxpayerArgument,
    point: WhichPointOption = None,
    type: TypeOption,
    low: Annotated[int, typer.Option(min=1, max=1_000_000, help="From so many left on it is low.")],
    fill_to: Annotated[
        int, typer.Option(min=2, max=1_000_000, help="To so many it is filled up; above --low.")
    ],
    auto_draw: Annotated[
        bool,
        typer.Option(
            "--auto-draw",
            help="Fill it up by itself once it is low: from the pool, and what that lacks is drawn from"
            " the authority.",
        ),
    ] = False,
    reason: RequiredReasonOption,
    request_id: RequestIdOption = "",
    dry_run: DryRunOption = False,
) -> ExitCode:
    """Set from when on the stock of a type counts as low, and whether it is filled up by itself.

    Exit code: 0 set, or tried for a dry run, 1 refused, 2 wrong usage, 3 the gateway was not reached,
    4 effect unknown.
    """
    if fill_to <= low:
        raise Unusable(tr("--fill-to must be above --low"))
    wanted = StockThreshold(
        parent=parent_name(taxpayer, point),
        type=type,
        low_count=low,
        target_count=fill_to,
        auto_draw=auto_draw,
    )
    return _set(session, wanted, reason=reason, request_id=request_id, dry_run=dry_run)


def clear(
    session: Session,
    *,
    taxpayer: TaxpayerArgument,
    point: WhichPointOption = None,
    type: TypeOption,
    reason: RequiredReasonOption,
    request_id: RequestIdOption = "",
    dry_run: DryRunOption = False,
) -> ExitCode:
    """Take a stock threshold away; nothing is filled up by itself any more.

    Exit code: 0 cleared, or tried for a dry run, 1 refused, 2 wrong usage, 3 the gateway was not
    reached, 4 effect unknown.
    """
    wanted = StockThreshold(parent=parent_name(taxpayer, point), type=type)
    return _set(session, wanted, reason=reason, request_id=request_id, dry_run=dry_run)


def _set(
    session: Session, wanted: StockThreshold, *, reason: str, request_id: str, dry_run: bool
) -> ExitCode:
    request = SetStockThresholdRequest(
        request_id=request_id_of(request_id, session.screen),
        threshold=wanted,
        reason=reason,
        validate_only=dry_run,
    )
    stub = StockAdminServiceStub(session.connection.channel)
    answer = session.connection.call(stub.SetStockThreshold, request)
    if session.screen.as_json:
        session.screen.document(as_dict(answer))
        return ExitCode.DONE
    if wanted.low_count:
        session.screen.table(_COLUMNS, [_cells(wanted)], "")
    else:
        session.screen.line(
            tr("the threshold would go") if dry_run else tr("the threshold is gone")
        )
    if dry_run:
        session.screen.note(tr("nothing was changed"))
    elif answer.replayed:
        session.screen.note(tr("an earlier call with this request id did it"))
    return ExitCode.DONE


def _cells(one: StockThreshold) -> list[str]:
    return [
        point_number(one.parent) if "/points/" in one.parent else tr("every"),
        one.type,
        f"{one.low_count:,}",
        f"{one.target_count:,}" if one.target_count else "",
        tr("yes") if one.auto_draw else tr("no"),
    ]
