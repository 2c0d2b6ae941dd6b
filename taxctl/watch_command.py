"""``taxctl watch``: a line for every change of a taxpayer's invoices."""

import time
from typing import Annotated

import typer

from taxcontrol.v1.invoice_query_pb2 import (
    InvoiceChange,
    WatchInvoicesRequest,
    WatchInvoicesResponse,
)
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from taxctl.following import TokenFileOption, first_token, follow
from taxctl.names import OnePointOption, OneTypeOption, ParentArgument, parent_name, short_name
from taxctl.screen import Screen, as_dict, civil, padded, yuan
from taxctl.session import ExitCode, Session, Unusable
from taxctl.watching import watch as messages
from taxctl.wire_words import word
from taxctl.words import tr


def watch(
    session: Session,
    *,
    parent: ParentArgument,
    point: OnePointOption = None,
    type: OneTypeOption = "",
    resume_token: Annotated[
        str,
        typer.Option(
            help="Go on behind the message with this token, of a watch with the same parent and"
            " type. Default: begin now.",
            show_default=False,
        ),
    ] = "",
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Without a token: begin with the first change.")
    ] = False,
    token_file: TokenFileOption = None,
) -> ExitCode:
    """Print every change of the invoices of a taxpayer or point, until Ctrl-C.

    A gateway that goes away is called again, and nothing is missed. The token is stored after a
    change was printed, so a watch that is killed in between prints that change once more.

    With --json each change is one line, with its resume_token. --timeout does not apply. Exit code:
    0 ended by Ctrl-C or SIGTERM, 1 refused, 2 wrong usage or an unusable FILE, 3 the gateway was
    not reached at the start, 4 effect unknown.
    """
    if resume_token and from_beginning:
        raise Unusable(tr("--resume-token and --from-beginning do not go together"))
    request = WatchInvoicesRequest(
        parent=parent_name(parent, point),
        type=type,
        resume_token=first_token(resume_token, token_file),
        from_beginning=from_beginning,
    )
    stub = InvoiceServiceStub(session.connection.channel)
    follow(
        session,
        token_file,
        lambda interrupted: messages(
            session.connection,
            stub.WatchInvoices,
            request,
            interrupted=interrupted,
            sleep=time.sleep,
        ),
        lambda message: _print(session.screen, message),
    )
    return ExitCode.DONE


def _print(screen: Screen, message: WatchInvoicesResponse) -> None:
    if not message.HasField("change"):
        return
    if screen.as_json:
        screen.document(as_dict(message))
        return
    change = message.change
    issued = change.invoice.issued
    what = word(InvoiceChange.Type.Name, change.type, "TYPE_").removeprefix("upload ")
    screen.line(
        f"{civil(change.change_time)}  {padded(what, 15)}  {issued.type:3}  {short_name(issued.name):21}"
        f"  {yuan(change.invoice.net_fen):>13}"
    )
