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
        one = answer.retried_count == 1
        done = "would be sent again" if validate_only else f"{'is' if one else 'are'} sent again"
        _tell(
            session,
            as_dict(answer),
            f"{answer.retried_count:,} {'event' if one else 'events'} {done}",
            replayed=answer.replayed,
        )
        if not answer.retried_count:
            raise NothingToDo(
                "the authority has refused nothing of it: there is nothing to send again"
            )

    which = f"{len(names)} named" if names else "all refused"
    deed = rehearsed(f"Send {which} invoices of {parent} again?", send)
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
            "--request-id goes with a time in --until: from now on would be another pause"
        )
    if later and at is not None:
        # Whoever tries the same id again must give the same time.
        session.screen.note(f"until: {civil(at)}")
    how_long = f"until {civil(at)}" if at is not None else "until they are resumed"

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
        done = "would be paused" if validate_only else "are paused"
        _tell(session, as_dict(answer), f"the uploads {done} {how_long}", replayed=answer.replayed)

    deed = rehearsed(f"Pause the uploads of {parent} {how_long}?", send)
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
    done = "would go on" if dry_run else "go on"
    _tell(session, as_dict(answer), f"the uploads {done}", replayed=answer.replayed)
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
        raise Unusable("give either --window or --reset")
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
        done = "would hold" if validate_only else "hold"
        said = f"these windows {done}: {rates(answer.windows) or 'none'}"
        _tell(session, as_dict(answer), said, replayed=answer.replayed)

    told = f"Keep the uploads of {parent} to {rates(wanted)}?"
    if reset:
        told = f"Let the uploads of {parent} run as fast as the authority allows?"
    deed = rehearsed(told, send)
    return carry_out(session, deed, request_id=request_id, yes=yes, dry_run=dry_run)


def _tell(session: Session, answer: dict[str, object], said: str, *, replayed: bool) -> None:
    if session.screen.as_json:
        session.screen.document(answer)
        return
    session.screen.line(said)
    if replayed:
        session.screen.note("an earlier call with this request id did it")
