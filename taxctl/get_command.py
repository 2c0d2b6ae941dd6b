"""``taxctl get``: one invoice with its current state."""

import json
from pathlib import Path
from typing import Annotated

import typer

from taxcontrol.v1.invoice_pb2 import Invoice
from taxcontrol.v1.invoice_service_pb2 import GetInvoiceRequest
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from taxctl.invoice_facts import invoice_facts
from taxctl.names import InvoiceArgument, invoice_name
from taxctl.screen import as_dict
from taxctl.session import ExitCode, Session, Unusable
from taxctl.words import tr


def get(
    session: Session,
    *,
    name: InvoiceArgument = "",
    request_id: Annotated[
        str, typer.Option(help="By the request id that issued it.", show_default=False)
    ] = "",
    content: Annotated[
        bool,
        typer.Option(
            "--content",
            help="Print what was signed, laid out for reading: buyer, lines, sums. The very bytes"
            " are in --json.",
        ),
    ] = False,
    certificate: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help="Write the certificate of the key that signed to FILE (X.509 DER).",
            show_default=False,
        ),
    ] = None,
) -> ExitCode:
    """Show one invoice, by name or by request id.

    Exit code: 0 found, 1 refused or not found, or there is no content or certificate, 2 wrong usage
    or an unusable FILE, 3 the gateway was not reached, 4 it could not look now.
    """
    if content and session.screen.as_json:
        raise Unusable(tr("--content and --json do not go together"))
    if bool(name) == bool(request_id):
        raise Unusable(tr("give either the invoice's NAME or --request-id"))
    wanted = (
        GetInvoiceRequest(name=invoice_name(name))
        if name
        else GetInvoiceRequest(request_id=request_id)
    )
    stub = InvoiceServiceStub(session.connection.channel)
    found = session.connection.call(stub.GetInvoice, wanted)
    if session.screen.as_json:
        session.screen.document(as_dict(found))
    elif not content:
        session.screen.facts(invoice_facts(found.invoice))
    elif not _print_content(session, found.invoice):
        return ExitCode.REFUSED
    if certificate is not None and not _keep(session, found.invoice, certificate):
        return ExitCode.REFUSED
    return ExitCode.DONE


def _print_content(session: Session, invoice: Invoice) -> bool:
    signed = invoice.issued.content or invoice.void_statement.content
    try:
        value = json.loads(signed)
    except (ValueError, RecursionError):
        session.screen.note(
            tr("taxctl: {invoice} has no content that can be read").format(
                invoice=invoice.issued.name
            )
        )
        return False
    session.screen.document(value)
    return True


def _keep(session: Session, invoice: Invoice, file: Path) -> bool:
    """Write the certificate; of a number that is void and was never issued that of its void."""
    issued, statement = invoice.issued, invoice.void_statement
    found = (issued.key_id, invoice.certificate), (statement.key_id, invoice.void_certificate)
    key_id, certificate = next((pair for pair in found if pair[1]), ("", b""))
    if not certificate:
        session.screen.note(
            tr("taxctl: there is no certificate of {invoice}").format(invoice=issued.name)
        )
        return False
    try:
        file.write_bytes(certificate)
    except OSError as error:
        raise Unusable(f"{file}: {error.strerror}") from error
    session.screen.note(tr("the certificate of {key} is in {file}").format(key=key_id, file=file))
    return True
