"""``taxctl verify``: is an invoice genuine, as anybody may ask (查验)?"""

from typing import Annotated, Final

import typer

from taxcontrol.v1.invoice_query_pb2 import (
    PrintedInvoice,
    VerifyInvoiceRequest,
    VerifyInvoiceResponse,
)
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from taxctl.amounts import fen
from taxctl.screen import as_dict
from taxctl.session import ExitCode, Session, Unusable
from taxctl.wire_words import word
from taxctl.words import tr

_EXIT: Final = {
    VerifyInvoiceResponse.VERDICT_GENUINE: ExitCode.DONE,
    VerifyInvoiceResponse.VERDICT_NOT_OURS: ExitCode.NOT_OURS,
    VerifyInvoiceResponse.VERDICT_VOIDED: ExitCode.VOIDED,
    VerifyInvoiceResponse.VERDICT_REVERSED: ExitCode.REVERSED,
}


def verify(
    session: Session,
    *,
    qr_text: Annotated[
        str,
        typer.Argument(metavar="QR_TEXT", help="The text of the QR code.", show_default=False),
    ] = "",
    code: Annotated[str, typer.Option(help="Invoice code; left out where the type has none.")] = "",
    number: Annotated[str, typer.Option(help="Invoice number.", show_default=False)] = "",
    date: Annotated[
        str, typer.Option(help="Day of issue, such as 2026-11-22.", show_default=False)
    ] = "",
    amount: Annotated[
        str,
        typer.Option(
            help="Net amount (不含税金额) in yuan, such as 444.45; below zero on red.",
            show_default=False,
        ),
    ] = "",
    check_code: Annotated[
        str,
        typer.Option(
            help="Check code or its last six characters; left out where the type has none.",
            show_default=False,
        ),
    ] = "",
) -> ExitCode:
    """Say whether an invoice is genuine, by its QR text or by what is printed on it.

    What has a check code is asked for with it: without, nothing here is found by its parts. Exit
    code: 0 genuine, 5 not issued here or not as printed, 6 voided, 7 reversed, in part or in full; and
    1 refused, as for asking too often, 2 wrong usage, 3 the gateway was not reached, 4 it could not
    look now.
    """
    parts = {"--code": code, "--number": number, "--date": date, "--amount": amount}
    given = [name for name, value in {**parts, "--check-code": check_code}.items() if value]
    if qr_text and given:
        raise Unusable(tr("give either the QR_TEXT or {options}").format(options=", ".join(given)))
    if qr_text:
        request = VerifyInvoiceRequest(qr_text=qr_text)
    else:
        missing = [name for name in ("--number", "--date", "--amount") if not parts[name]]
        if missing:
            raise Unusable(
                tr("give the QR_TEXT, or what is printed: {options} missing").format(
                    options=", ".join(missing)
                )
            )
        printed = PrintedInvoice(
            code=code,
            number=number,
            issue_date=date,
            net_fen=fen(amount, "--amount"),
            check_code=check_code,
        )
        request = VerifyInvoiceRequest(printed=printed)
    stub = InvoiceServiceStub(session.connection.channel)
    answer = session.connection.call(stub.VerifyInvoice, request)
    if session.screen.as_json:
        session.screen.document(as_dict(answer))
    else:
        verdict = word(VerifyInvoiceResponse.Verdict.Name, answer.verdict, "VERDICT_")
        session.screen.line(
            tr("verify: {verdict}{why}").format(verdict=verdict, why=_why(answer, request))
        )
    return _EXIT.get(answer.verdict, ExitCode.REFUSED)


def _why(answer: VerifyInvoiceResponse, request: VerifyInvoiceRequest) -> str:
    """What is not ours need not be forged: a part may be mistyped or left out."""
    if answer.verdict != VerifyInvoiceResponse.VERDICT_NOT_OURS:
        return ""
    if request.WhichOneof("key") == "qr_text":
        return tr(": no invoice here has this QR text")
    if request.printed.check_code:
        return tr(": no invoice here has all of these parts")
    return tr(": no invoice here has all of these parts (was --check-code left out?)")
