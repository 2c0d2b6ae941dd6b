"""``taxctl reverse`` and ``taxctl void``: taking an issued invoice back."""

from collections.abc import Iterator
from typing import Annotated, Final

import typer
from google.protobuf.message import Message

from taxcontrol.v1.invoice_pb2 import Invoice
from taxcontrol.v1.invoice_reversal_pb2 import (
    ReverseInvoiceRequest,
    ReverseInvoiceResponse,
    VoidInvoiceRequest,
    VoidInvoiceResponse,
)
from taxcontrol.v1.invoice_service_pb2 import GetInvoiceRequest
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from taxctl.consent import Deed, carry_out
from taxctl.invoice_facts import (
    against_reversing,
    against_voiding,
    issued_facts,
    now,
    standing,
    void_facts,
)
from taxctl.names import (
    DryRunOption,
    InvoiceArgument,
    RequestIdOption,
    RequiredReasonOption,
    YesOption,
    invoice_name,
    point_name,
)
from taxctl.screen import as_dict, fact
from taxctl.session import ExitCode, Session
from taxctl.words import mark, tr

# What is not the field's own name with blanks.
_WORDS: Final = {
    "name": mark("invoice"),
    "red_reason": mark("reason"),
    "red_notice_number": mark("notice"),
    "clerk": mark("clerk"),
}


def reverse(
    session: Session,
    *,
    name: InvoiceArgument,
    point: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="The point that issues the red. Default: the blue's."),
    ] = None,
    type: Annotated[
        str,
        typer.Option("--type", help="Type of the red. Default: the blue's.", show_default=False),
    ] = "",
    reason: Annotated[
        str,
        typer.Option(help="Why (冲红原因); required where the red is a 026.", show_default=False),
    ] = "",
    notice: Annotated[
        str,
        typer.Option(
            help="Red-letter notice number (红字信息表编号); required on special types.",
            show_default=False,
        ),
    ] = "",
    clerk: Annotated[
        str, typer.Option(help="Clerk (开票人). Default: the blue's.", show_default=False)
    ] = "",
    request_id: RequestIdOption = "",
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> ExitCode:
    """Issue the full red of a blue invoice.

    Asks first. --dry-run shows the blue invoice and what would be sent; the gateway is not asked to
    judge it. Exit code: 0 reversed, or shown for a dry run, 1 refused or declined, 2 wrong usage or
    nobody to ask, 3 the gateway was not reached, 4 effect unknown.
    """
    blue = invoice_name(name)

    def request(used_id: str) -> ReverseInvoiceRequest:
        return ReverseInvoiceRequest(
            request_id=used_id,
            name=blue,
            point="" if point is None else point_name(_owner(blue), point),
            type=type,
            red_reason=reason,
            red_notice_number=notice,
            clerk=clerk,
        )

    def preview(used_id: str) -> None:
        found = _invoice(session, blue)
        _show_plan(session, found, request(used_id), against_reversing(found), dry=dry_run)

    def do(used_id: str) -> None:
        stub = InvoiceServiceStub(session.connection.channel)
        _tell_reversed(session, session.connection.call(stub.ReverseInvoice, request(used_id)))

    deed = Deed(
        question=tr("Reverse {invoice} in full?").format(invoice=blue), preview=preview, do=do
    )
    return carry_out(session, deed, request_id=request_id, yes=yes, dry_run=dry_run)


def void(
    session: Session,
    *,
    name: InvoiceArgument,
    reason: RequiredReasonOption,
    request_id: RequestIdOption = "",
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> ExitCode:
    """Void an invoice within the month of its issue.

    Asks first. --dry-run shows the invoice and what would be sent; the gateway is not asked to
    judge it. Exit code: 0 voided, or shown for a dry run, 1 refused or declined, 2 wrong usage or
    nobody to ask, 3 the gateway was not reached, 4 effect unknown.
    """
    wanted = invoice_name(name)

    def request(used_id: str) -> VoidInvoiceRequest:
        return VoidInvoiceRequest(request_id=used_id, name=wanted, reason=reason)

    def preview(used_id: str) -> None:
        found = _invoice(session, wanted)
        _show_plan(session, found, request(used_id), against_voiding(found, now()), dry=dry_run)

    def do(used_id: str) -> None:
        stub = InvoiceServiceStub(session.connection.channel)
        _tell_voided(session, session.connection.call(stub.VoidInvoice, request(used_id)))

    deed = Deed(question=tr("Void {invoice}?").format(invoice=wanted), preview=preview, do=do)
    return carry_out(session, deed, request_id=request_id, yes=yes, dry_run=dry_run)


def _invoice(session: Session, name: str) -> Invoice:
    stub = InvoiceServiceStub(session.connection.channel)
    return session.connection.call(stub.GetInvoice, GetInvoiceRequest(name=name)).invoice


def _show_plan(
    session: Session, found: Invoice, request: Message, against: str, *, dry: bool
) -> None:
    """Show what is known and what would be sent: these RPCs have no ``validate_only``."""
    if session.screen.as_json:
        plan = {
            "dry_run": True,
            "invoice": as_dict(found),
            "against": against,
            "request": as_dict(request),
        }
        session.screen.document(plan)
        return
    session.screen.facts([fact("invoice", found.issued.name), *standing(found)])
    if against:
        session.screen.line(tr("likely to be refused: {why}").format(why=against))
    session.screen.line(tr("would be sent:") if dry else tr("will be sent:"))
    session.screen.facts((f"  {tr(key)}", str(value)) for key, value in _sent(request))


def _sent(request: Message) -> Iterator[tuple[str, object]]:
    for field, value in request.ListFields():
        yield _WORDS.get(field.name, field.name.replace("_", " ")), value


def _tell_reversed(session: Session, answer: ReverseInvoiceResponse) -> None:
    if session.screen.as_json:
        session.screen.document(as_dict(answer))
        return
    replayed = fact("replayed", tr("yes") if answer.replayed else "")
    session.screen.facts([*issued_facts(answer.issued), replayed])


def _tell_voided(session: Session, answer: VoidInvoiceResponse) -> None:
    if session.screen.as_json:
        session.screen.document(as_dict(answer))
        return
    statement = answer.void_statement
    replayed = fact("replayed", tr("yes") if answer.replayed else "")
    session.screen.facts([fact("invoice", statement.invoice), *void_facts(statement), replayed])


def _owner(invoice: str) -> str:
    """``taxpayers/{tax_number}`` of an invoice's name."""
    return invoice.partition("/invoices/")[0]
