"""``taxctl alerts thresholds``: from where on a taxpayer's operators want to hear."""

from typing import Annotated

import typer

from taxcontrol.admin.v1.alert_pb2 import AlertThresholds
from taxcontrol.admin.v1.alert_service_pb2 import (
    GetAlertThresholdsRequest,
    SetAlertThresholdsRequest,
)
from taxcontrol.admin.v1.alert_service_pb2_grpc import AlertServiceStub
from taxctl.amounts import fen, length, seconds
from taxctl.names import (
    DryRunOption,
    RequestIdOption,
    RequiredReasonOption,
    TaxpayerArgument,
    request_id_of,
    taxpayer_name,
)
from taxctl.screen import Screen, as_dict, yuan
from taxctl.session import ExitCode, Session, Unusable
from taxctl.table import Column
from taxctl.words import tr


def show(session: Session, *, taxpayer: TaxpayerArgument) -> ExitCode:
    """Show from where on alerts are raised for a taxpayer; those of stock are in stock threshold.

    Exit code: 0 shown, 1 refused, 2 wrong usage, 3 the gateway was not reached, 4 it could not look
    now.
    """
    stub = AlertServiceStub(session.connection.channel)
    request = GetAlertThresholdsRequest(parent=taxpayer_name(taxpayer))
    found = session.connection.call(stub.GetAlertThresholds, request)
    if session.screen.as_json:
        session.screen.document(as_dict(found))
    else:
        _print(session.screen, found.thresholds, found.set_thresholds)
    return ExitCode.DONE


def set_thresholds(
    session: Session,
    *,
    taxpayer: TaxpayerArgument,
    unuploaded_count: Annotated[
        int | None,
        typer.Option(min=1, help="Invoices of a device and type that are not uploaded."),
    ] = None,
    unuploaded_amount: Annotated[
        str, typer.Option(metavar="YUAN", help="Their net amount.", show_default=False)
    ] = "",
    unuploaded_age: Annotated[
        str,
        typer.Option(metavar="LENGTH", help="Age of the oldest: 30m, 4h, 2d.", show_default=False),
    ] = "",
    certificate_days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Days before a certificate ends.")
    ] = None,
    period_days: Annotated[
        int | None, typer.Option(min=1, max=31, help="Days before the lock day.")
    ] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="All of them are the default again.")
    ] = False,
    reason: RequiredReasonOption,
    request_id: RequestIdOption = "",
    dry_run: DryRunOption = False,
) -> ExitCode:
    """Set from where on alerts are raised for a taxpayer; those left out are the default again.

    Exit code: 0 set, or shown for a dry run, 1 refused, 2 wrong usage, 3 the gateway was not reached,
    4 effect unknown.
    """
    wanted = AlertThresholds(
        unuploaded_count=unuploaded_count,
        unuploaded_amount_fen=fen(unuploaded_amount, "--unuploaded-amount")
        if unuploaded_amount
        else None,
        unuploaded_age_s=seconds(unuploaded_age, "--unuploaded-age") if unuploaded_age else None,
        certificate_days=certificate_days,
        period_days=period_days,
    )
    if bool(wanted.ListFields()) == reset:
        raise Unusable(tr("give either a threshold or --reset"))
    request = SetAlertThresholdsRequest(
        parent=taxpayer_name(taxpayer),
        request_id=request_id_of(request_id, session.screen),
        thresholds=wanted,
        reason=reason,
        validate_only=dry_run,
    )
    stub = AlertServiceStub(session.connection.channel)
    answer = session.connection.call(stub.SetAlertThresholds, request)
    if session.screen.as_json:
        session.screen.document(as_dict(answer))
        return ExitCode.DONE
    _print(session.screen, answer.thresholds, wanted)
    if dry_run:
        session.screen.note(tr("nothing was changed"))
    elif answer.replayed:
        session.screen.note(tr("an earlier call with this request id did it"))
    return ExitCode.DONE


def _print(screen: Screen, in_force: AlertThresholds, given: AlertThresholds) -> None:
    never = tr("never")
    told = [
        ("unuploaded_count", tr("not uploaded"), f"{in_force.unuploaded_count:,}"),
        (
            "unuploaded_amount_fen",
            tr("their amount (yuan)"),
            yuan(in_force.unuploaded_amount_fen),
        ),
        ("unuploaded_age_s", tr("age of the oldest"), length(in_force.unuploaded_age_s)),
        (
            "certificate_days",
            tr("days before a certificate ends"),
            str(in_force.certificate_days),
        ),
        ("period_days", tr("days before the lock day"), str(in_force.period_days)),
    ]
    set_here, default = tr("set"), tr("default")
    known = {field.name for field, _ in in_force.ListFields()}
    kept = {field.name for field, _ in given.ListFields()}
    rows = [
        [name, value if key in known else never, set_here if key in kept else default]
        for key, name, value in told
    ]
    screen.table(
        (Column("alert from"), Column("threshold", right=True), Column("origin")), rows, ""
    )
