"""``taxctl get``: one invoice with its current state."""

from typing import Annotated

import typer

from taxcontrol.v1.invoice_service_pb2 import GetInvoiceRequest
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from taxctl.invoice_facts import invoice_facts
from taxctl.names import InvoiceArgument, invoice_name
from taxctl.screen import as_dict
from taxctl.session import ExitCode, Session, Unusable


def get(
    session: Session,
    *,
    name: InvoiceArgument = "",
    request_id: Annotated[
        str, typer.Option(help="By the request id that issued it.", show_default=False)
    ] = "",
) -> ExitCode:
    """Show one invoice, by name or by request id.

    Exit code: 0 found, 1 refused or not found, 2 wrong usage, 3 the gateway was not reached.
    """
    if bool(name) == bool(request_id):
        raise Unusable("give either the invoice's NAME or --request-id")
    wanted = (
        GetInvoiceRequest(name=invoice_name(name))
        if name
        else GetInvoiceRequest(request_id=request_id)
    )
    stub = InvoiceServiceStub(session.connection.channel)
    found = session.connection.call(stub.GetInvoice, wanted)
    if session.screen.as_json:
        session.screen.document(as_dict(found))
    else:
        session.screen.facts(invoice_facts(found.invoice))
    return ExitCode.DONE
