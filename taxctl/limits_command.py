"""``taxctl taxpayer limits``: lowering how long a taxpayer may issue without upload."""

from typing import Annotated

import typer

from taxcontrol.admin.v1.taxpayer_pb2 import OfflineLimits
from taxcontrol.admin.v1.taxpayer_service_pb2 import SetOfflineLimitsRequest
from taxcontrol.admin.v1.taxpayer_service_pb2_grpc import TaxpayerServiceStub
from taxctl.amounts import fen
from taxctl.consent import carry_out, rehearsed
from taxctl.names import (
    DryRunOption,
    RequestIdOption,
    RequiredReasonOption,
    TaxpayerArgument,
    YesOption,
    taxpayer_name,
)
from taxctl.screen import as_dict, yuan
from taxctl.session import ExitCode, Session, Unusable
from taxctl.words import tr


def limits(
    session: Session,
    *,
    taxpayer: TaxpayerArgument,
    age_hours: Annotated[
        int | None,
        typer.Option(min=0, max=100_000, help="Oldest un-uploaded age in hours (离线时限)."),
    ] = None,
    amount: Annotated[
        str,
        typer.Option(
            metavar="YUAN", help="Un-uploaded net amount in yuan (离线限额).", show_default=False
        ),
    ] = "",
    count: Annotated[
        int | None, typer.Option(min=0, help="Un-uploaded invoices (离线张数).")
    ] = None,
    lock_day: Annotated[
        int | None, typer.Option(min=0, max=31, help="Lock day of the month (锁死期).")
    ] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="Only the authority's own limits hold again.")
    ] = False,
    reason: RequiredReasonOption,
    request_id: RequestIdOption = "",
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> ExitCode:
    """Lower the offline limits of a taxpayer below the authority's; one left out is the authority's again.

    Asks first: issuing may stop at once. Exit code: 0 set, or shown for a dry run, 1 refused or
    declined, 2 wrong usage or nobody to ask, 3 the gateway was not reached, 4 effect unknown.
    """
    parent = taxpayer_name(taxpayer)
    wanted = OfflineLimits(
        age_hours_max=age_hours,
        amount_fen_max=fen(amount, "--amount") if amount else None,
        count_max=count,
        lock_day=lock_day,
    )
    if bool(wanted.ListFields()) == reset:
        raise Unusable(tr("give either a limit or --reset"))

    def send(request_id: str, *, validate_only: bool) -> None:
        request = SetOfflineLimitsRequest(
            parent=parent,
            request_id=request_id,
            offline_limits=wanted,
            reason=reason,
            validate_only=validate_only,
        )
        stub = TaxpayerServiceStub(session.connection.channel)
        answer = session.connection.call(stub.SetOfflineLimits, request)
        if session.screen.as_json:
            session.screen.document(as_dict(answer))
            return
        told = (
            tr("these limits would hold: {limits}")
            if validate_only
            else tr("these limits hold: {limits}")
        )
        session.screen.line(told.format(limits=limits_told(answer.offline_limits)))
        if answer.replayed:
            session.screen.note(tr("an earlier call with this request id did it"))

    question = tr("Set the offline limits of {taxpayer}?").format(taxpayer=parent)
    deed = rehearsed(question, send)
    return carry_out(session, deed, request_id=request_id, yes=yes, dry_run=dry_run)


def limits_told(limits: OfflineLimits) -> str:
    """Offline limits in one line."""
    told = []
    if limits.HasField("age_hours_max"):
        told.append(tr("{n:,} hours").format(n=limits.age_hours_max))
    if limits.HasField("amount_fen_max"):
        told.append(tr("{amount} yuan").format(amount=yuan(limits.amount_fen_max)))
    if limits.HasField("count_max"):
        told.append(tr("{n:,} invoices").format(n=limits.count_max))
    if limits.HasField("lock_day"):
        told.append(tr("lock day {n}").format(n=limits.lock_day))
    return ", ".join(told) or tr("none")
