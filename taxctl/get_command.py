"""``taxctl get``: one invoice with its current state."""

from typing import Annotated

import typer

from taxcontrol.v1.invoice_pb2 import Invoice, InvoiceKind
from taxcontrol.v1.invoice_service_pb2 import GetInvoiceRequest
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from taxctl.screen import as_dict, civil, yuan
from taxctl.session import ExitCode, Session, Unusable


def get(
    session: Session,
    *,
    name: Annotated[
        str,
        typer.Argument(help="taxpayers/{tax number}/invoices/{code}-{number}", show_default=False),
    ] = "",
    request_id: Annotated[
        str, typer.Option(help="By the request id that issued it.", show_default=False)
    ] = "",
) -> ExitCode:
    """Show one invoice, by name or by request id.

    Exit code: 0 found, 1 refused or not found, 2 wrong usage, 3 the gateway was not reached.
    """
    if bool(name) == bool(request_id):
        raise Unusable("give either the invoice's NAME or --request-id")
    wanted = GetInvoiceRequest(name=name) if name else GetInvoiceRequest(request_id=request_id)
    stub = InvoiceServiceStub(session.connection.channel)
    found = session.connection.call(stub.GetInvoice, wanted)
    if session.screen.as_json:
        session.screen.document(as_dict(found))
    else:
        session.screen.facts(_facts(found.invoice))
    return ExitCode.DONE


def _facts(invoice: Invoice) -> list[tuple[str, str]]:
    issued = invoice.issued
    return [
        ("name", issued.name),
        ("request id", issued.request_id),
        ("point", invoice.point),
        ("type", issued.type),
        ("kind", _word(InvoiceKind.Name(invoice.kind), "INVOICE_KIND_")),
        ("net (yuan)", yuan(invoice.net_fen)),
        ("tax (yuan)", yuan(invoice.tax_fen)),
        ("state", _word(Invoice.State.Name(invoice.state), "STATE_")),
        ("upload", _word(Invoice.UploadState.Name(invoice.upload_state), "UPLOAD_STATE_")),
        ("acceptance serial", invoice.acceptance_serial),
        ("rejection", invoice.rejection),
        ("issued at", civil(issued.issue_time)),
        ("device", issued.machine_number),
        ("key", f"{issued.key_id} ({issued.signature_algorithm})"),
        ("signature", issued.signature.hex()),
        ("check code", issued.check_code),
        ("fiscal code", issued.fiscal_code),
        ("QR text", issued.qr_text),
    ]


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower().replace("_", " ")
