"""``taxctl upload retry``, ``pause``, ``resume`` and ``rate``: steering the uploads."""

from typing import Annotated

import typer

from taxcontrol.admin.v1.upload_admin_service_pb2 import (
    PauseUploadsRequest,
    ResumeUploadsRequest,
    RetryUploadsRequest,
    SetUploadRateRequest,
)
from taxcontrol.admin.v1.upload_admin_service_pb2_grpc import UploadAdminServiceStub
from taxctl.consent import NothingToDo, carry_out, rehearsed
from taxctl.names import (
    DryRunOption,
    ReasonOption,
    RequestIdOption,
    RequiredReasonOption,
    TaxpayerArgument,
    YesOption,
    invoice_name,
    request_id_of,
    taxpayer_name,
)
from taxctl.screen import as_dict, civil
from taxctl.session import ExitCode, Session, Unusable
from taxctl.times import UntilOption, instant_or_later
from taxctl.windows import rates, window
from taxctl.words import tr, tr_n


def retry(
    session: Session,
    *,
    taxpayer: TaxpayerArgument,
    invoices: Annotated[
        list[str] | None,
        typer.Option(
            "--invoice",
            help="Only this invoice, {code}-{number} or its name; may be repeated. Default: the"
            " oldest 10,000 of all refused ones.",
            show_default=False,
        ),
    ] = None,
    reason: RequiredReasonOption,
    request_id: RequestIdOption = "",
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> ExitCode:
    """Send events once more that the authority refused.

    Asks first. Exit code: 0 done, or shown for a dry run, 1 refused or declined, or nothing to send
    again, 2 wrong usage or nobody to ask, 3 the gateway was not reached, 4 effect unknown.
    """
    parent = taxpayer_name(taxpayer)
    names = [invoice_name(one, owner=taxpayer) for one in invoices or []]

    def send(request_id: str, *, validate_only: bool) -> None:
        request = RetryUploadsRequest(
            request_id=request_id,
            parent=parent,
            invoices=names,
            reason=reason,
            validate_only=validate_only,
        )
        stub = UploadAdminServiceStub(session.connection.channel)
        answer = session.connection.call(stub.RetryUploads, request)
        if validate_only:
            told = tr_n(
                "{n:,} event would be sent again",
                "{n:,} events would be sent again",
                answer.retried_count,
            )
        else:
            told = tr_n(
                "{n:,} event is sent again", "{n:,} events are sent again", answer.retried_count
            )
        _tell(
            session,
            as_dict(answer),
            told.format(n=answer.retried_count),
            replayed=answer.replayed,
        )
        if not answer.retried_count:
            raise NothingToDo(
                tr("the authority has refused nothing of it: there is nothing to send again")
            )

    if names:
        question = tr_n(
            "Send {n} named invoice of {taxpayer} again?",
            "Send {n} named invoices of {taxpayer} again?",
            len(names),
        )
    else:
        question = tr("Send all refused invoices of {taxpayer} again?")
    deed = rehearsed(question.format(n=len(names), taxpayer=parent), send)
    return carry_out(session, deed, request_id=request_id, yes=yes, dry_run=dry_run)


def pause(
    session: Session,
    *,
    taxpayer: TaxpayerArgument,
    until: UntilOption = "",
    reason: RequiredReasonOption,
    request_id: RequestIdOption = "",
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> ExitCode:
    """Pause the uploads of a taxpayer; issuing goes on within the offline limits.

    Asks first. Exit code: 0 paused, or shown for a dry run, 1 refused or declined, 2 wrong usage or
    nobody to ask, 3 the gateway was not reached, 4 effect unknown.
    """
    parent = taxpayer_name(taxpayer)
    at, later = instant_or_later(until) if until else (None, False)
    if later and request_id:
        raise Unusable(
            tr("--request-id goes with a time in --until: from now on would be another pause")
        )
    if later and at is not None:
        # Whoever tries the same id again must give the same time.
        session.screen.note(tr("until: {time}").format(time=civil(at)))
    how_long = (
        tr("until {time}").format(time=civil(at))
        if at is not None
        else tr("until they are resumed")
    )

    def send(request_id: str, *, validate_only: bool) -> None:
        request = PauseUploadsRequest(
            request_id=request_id,
            parent=parent,
            pause_until=at,
            reason=reason,
            validate_only=validate_only,
        )
        stub = UploadAdminServiceStub(session.connection.channel)
        answer = session.connection.call(stub.PauseUploads, request)
        told = (
            tr("the uploads would be paused {until}")
            if validate_only
            else tr("the uploads are paused {until}")
        )
        _tell(session, as_dict(answer), told.format(until=how_long), replayed=answer.replayed)

    deed = rehearsed(
        tr("Pause the uploads of {taxpayer} {until}?").format(taxpayer=parent, until=how_long), send
    )
    return carry_out(session, deed, request_id=request_id, yes=yes, dry_run=dry_run)


def resume(
    session: Session,
    *,
    taxpayer: TaxpayerArgument,
    reason: ReasonOption = "",
    request_id: RequestIdOption = "",
    dry_run: DryRunOption = False,
) -> ExitCode:
    """End a pause of the uploads; not paused is no error.

    Exit code: 0 resumed, 1 refused, 2 wrong usage, 3 the gateway was not reached, 4 effect unknown.
    """
    request = ResumeUploadsRequest(
        request_id=request_id_of(request_id, session.screen),
        parent=taxpayer_name(taxpayer),
        reason=reason,
        validate_only=dry_run,
    )
    stub = UploadAdminServiceStub(session.connection.channel)
    answer = session.connection.call(stub.ResumeUploads, request)
    told = tr("the uploads would go on") if dry_run else tr("the uploads go on")
    _tell(session, as_dict(answer), told, replayed=answer.replayed)
    return ExitCode.DONE


def rate(
    session: Session,
    *,
    taxpayer: TaxpayerArgument,
    windows: Annotated[
        list[str] | None,
        typer.Option(
            "--window",
            metavar="CALLS/TIME",
            help="At most so many calls in any such time, such as 10/1s, 30/1m, 600/1h; may be"
            " repeated. They replace those that were set before.",
            show_default=False,
        ),
    ] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="Only the authority's own windows hold again.")
    ] = False,
    reason: RequiredReasonOption,
    request_id: RequestIdOption = "",
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> ExitCode:
    """Lower the rate of a taxpayer's upload calls below what the authority allows, or reset it.

    Asks first. Exit code: 0 set, or shown for a dry run, 1 refused or declined, 2 wrong usage or
    nobody to ask, 3 the gateway was not reached, 4 effect unknown.
    """
    if bool(windows) == reset:
        raise Unusable(tr("give either --window or --reset"))
    parent = taxpayer_name(taxpayer)
    wanted = [window(text) for text in windows or []]

    def send(request_id: str, *, validate_only: bool) -> None:
        request = SetUploadRateRequest(
            request_id=request_id,
            parent=parent,
            windows=wanted,
            reason=reason,
            validate_only=validate_only,
        )
        stub = UploadAdminServiceStub(session.connection.channel)
        answer = session.connection.call(stub.SetUploadRate, request)
        told = (
            tr("these windows would hold: {windows}")
            if validate_only
            else tr("these windows hold: {windows}")
        )
        said = told.format(windows=rates(answer.windows) or tr("none"))
        _tell(session, as_dict(answer), said, replayed=answer.replayed)

    if reset:
        question = tr("Let the uploads of {taxpayer} run as fast as the authority allows?")
    else:
        question = tr("Keep the uploads of {taxpayer} to {windows}?")
    deed = rehearsed(question.format(taxpayer=parent, windows=rates(wanted)), send)
    return carry_out(session, deed, request_id=request_id, yes=yes, dry_run=dry_run)


def _tell(session: Session, answer: dict[str, object], said: str, *, replayed: bool) -> None:
    if session.screen.as_json:
        session.screen.document(answer)
        return
    session.screen.line(said)
    if replayed:
        session.screen.note(tr("an earlier call with this request id did it"))
