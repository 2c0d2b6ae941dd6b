"""``taxctl void-blank``: voiding a number that is no invoice (空白作废)."""

from typing import Annotated

import typer

from taxcontrol.admin.v1.stock_admin_service_pb2 import (
    VoidBlankNumberRequest,
    VoidBlankNumberResponse,
)
from taxcontrol.admin.v1.stock_admin_service_pb2_grpc import StockAdminServiceStub
from taxctl.consent import carry_out, rehearsed
from taxctl.invoice_facts import void_facts
from taxctl.names import (
    POINT_MAX,
    DryRunOption,
    RequestIdOption,
    RequiredReasonOption,
    TypeOption,
    YesOption,
    point_name,
    point_of,
)
from taxctl.screen import as_dict, fact
from taxctl.session import ExitCode, Session, Unusable
from taxctl.words import tr


def void_blank(
    session: Session,
    *,
    taxpayer: Annotated[
        str,
        typer.Argument(
            metavar="TAXPAYER",
            help="Tax number, or taxpayers/{tax number}; left out where --point names it.",
            show_default=False,
        ),
    ] = "",
    point: Annotated[
        str,
        typer.Option(help="Issuing point: its number, or taxpayers/{tax number}/points/{n}."),
    ],
    type: TypeOption,
    code: Annotated[
        str, typer.Option(help="Invoice code; left out on fully digital types.", show_default=False)
    ] = "",
    number: Annotated[
        str, typer.Option(help="The number, so that no other one is voided.", show_default=False)
    ],
    reason: RequiredReasonOption,
    request_id: RequestIdOption = "",
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> ExitCode:
    """Void a blank number: the point's next one, or one that waits for its signature for 60 s.

    Asks first. Exit code: 0 voided, or shown for a dry run, 1 refused or declined, 2 wrong usage or
    nobody to ask, 3 the gateway was not reached, 4 effect unknown.
    """
    place = _place(taxpayer, point)

    def send(request_id: str, *, validate_only: bool) -> None:
        request = VoidBlankNumberRequest(
            request_id=request_id,
            point=place,
            type=type,
            code=code,
            number=number,
            reason=reason,
            validate_only=validate_only,
        )
        stub = StockAdminServiceStub(session.connection.channel)
        _tell(session, session.connection.call(stub.VoidBlankNumber, request), dry=validate_only)

    deed = rehearsed(
        tr("Void the blank number {number} of {point}?").format(
            number=f"{code}-{number}" if code else number, point=place
        ),
        send,
    )
    return carry_out(session, deed, request_id=request_id, yes=yes, dry_run=dry_run)


def _place(taxpayer: str, point: str) -> str:
    if "/" in point:
        if taxpayer:
            raise Unusable(tr("--point names the taxpayer already; leave TAXPAYER out"))
        return point_of(point)
    if not taxpayer:
        raise Unusable(
            tr("give TAXPAYER, or --point taxpayers/{{tax number}}/points/{{n}}").format()
        )
    if not (point.isascii() and point.isdigit() and int(point) <= POINT_MAX):
        raise Unusable(
            tr("--point must be 0 to {most}, or a point's name, not {given!r}").format(
                most=POINT_MAX, given=point
            )
        )
    return point_name(taxpayer, int(point))


def _tell(session: Session, answer: VoidBlankNumberResponse, *, dry: bool) -> None:
    if session.screen.as_json:
        session.screen.document(as_dict(answer))
        return
    statement = answer.void_statement
    session.screen.facts(
        [
            fact("number", statement.invoice),
            fact(
                "state",
                tr("would be blank voided") if dry and not answer.replayed else tr("blank voided"),
            ),
            *void_facts(statement),
            fact("replayed", tr("yes") if answer.replayed else ""),
        ]
    )
