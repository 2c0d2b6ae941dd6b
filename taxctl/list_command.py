"""``taxctl list``: the invoices of a taxpayer that fit a filter, page by page."""

from collections.abc import Callable, Iterator
from typing import Annotated, Final

import typer

from taxcontrol.v1.invoice_pb2 import Invoice
from taxcontrol.v1.invoice_query_pb2 import ListInvoicesRequest
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from taxctl.choices import StateChoice, UploadChoice
from taxctl.connection import Connection
from taxctl.invoice_facts import buyer_name, kind_word, state_word, upload_word
from taxctl.names import OnePointOption, OneTypeOption, ParentArgument, parent_name, short_name
from taxctl.screen import Screen, as_dict, civil, yuan
from taxctl.session import ExitCode, Session
from taxctl.table import FOLD, Column
from taxctl.times import BeforeOption, FromOption
from taxctl.words import tr

PAGE_SIZE: Final = 500
# Where the kind, the buyer, and everything at full length find room.
_WITH_KIND: Final = 87
_WITH_BUYER: Final = 112
_WIDE: Final = 134
_MINUTES: Final = len("2026-11-22 10:30")


def list_invoices(
    session: Session,
    *,
    parent: ParentArgument,
    point: OnePointOption = None,
    type: OneTypeOption = "",
    code: Annotated[str, typer.Option(help="Only this invoice code.", show_default=False)] = "",
    first_number: Annotated[
        str,
        typer.Option(help="Only from this number on; the order is by number.", show_default=False),
    ] = "",
    last_number: Annotated[
        str, typer.Option(help="Only to this number, itself included.", show_default=False)
    ] = "",
    issued_from: FromOption = None,
    issued_before: BeforeOption = None,
    state: Annotated[
        StateChoice | None, typer.Option(help="Only in this state.", show_default=False)
    ] = None,
    upload_state: Annotated[
        UploadChoice | None,
        typer.Option(
            metavar="STATE",
            help=f"Only with the last event's upload in this state: {', '.join(UploadChoice)}.",
            show_default=False,
        ),
    ] = None,
    buyer_tax_number: Annotated[
        str, typer.Option(help="Only to the buyer of this tax number.", show_default=False)
    ] = "",
    newest_first: Annotated[
        bool, typer.Option("--newest-first", help="Newest first; else oldest first.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many. Default: all.", show_default=False)
    ] = None,
) -> ExitCode:
    """List the invoices of a taxpayer or point. All filters that are given must fit.

    A narrow terminal has no room for buyer and kind; red ones are below zero. With --json each line is
    one JSON object, the contract's Invoice. Exit code: 0 listed, 1 refused, 2 wrong usage, 3 the
    gateway was not reached, 4 it could not look now.
    """
    request = ListInvoicesRequest(
        parent=parent_name(parent, point),
        type=type,
        code=code,
        first_number=first_number,
        last_number=last_number,
        issued_from=issued_from,
        issued_before=issued_before,
        state=state.wire if state else Invoice.STATE_UNSPECIFIED,
        upload_state=(upload_state.wire if upload_state else Invoice.UPLOAD_STATE_UNSPECIFIED),
        buyer_tax_number=buyer_tax_number,
        newest_first=newest_first,
    )
    screen, shown, more = session.screen, 0, False
    with screen.progress(tr("listing"), limit, beside=True) as progress:
        for found, follows in pages(session.connection, request, limit=limit):
            if found:
                _print(screen, found, header=not shown)
            shown, more = shown + len(found), follows
            progress.reach(shown, limit)
    if not (shown or screen.as_json):
        screen.line(tr("no invoice fits"))
    if more:
        screen.note(
            tr("taxctl: {count} listed, and the search is not at its end: raise --limit").format(
                count=shown
            )
        )
    return ExitCode.DONE


def pages(
    connection: Connection, request: ListInvoicesRequest, *, limit: int | None
) -> Iterator[tuple[list[Invoice], bool]]:
    """Yield the pages of ``request``, which is moved on, and whether more may follow.

    A page may be empty while more follows. Raises ``CallFailed``.
    """
    stub = InvoiceServiceStub(connection.channel)
    left = limit
    while left is None or left > 0:
        request.page_size = PAGE_SIZE if left is None else min(PAGE_SIZE, left)
        answer = connection.call(stub.ListInvoices, request)
        found = list(answer.invoices)[:left]
        yield found, bool(answer.next_page_token)
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token
        left = None if left is None else left - len(found)


def _print(screen: Screen, found: list[Invoice], *, header: bool) -> None:
    if screen.as_json:
        for invoice in found:
            screen.document(as_dict(invoice))
        return
    columns = _columns(screen.out.width)
    rows = ([cell(invoice) for _, cell in columns] for invoice in found)
    screen.page([column for column, _ in columns], rows, header=header)


def _columns(width: int) -> list[tuple[Column, Callable[[Invoice], str]]]:
    """Columns that fit ``width``, and whose own widths hold for every page; 80 in all at least."""
    wide = width >= _WIDE
    columns: list[tuple[Column, Callable[[Invoice], str]]] = [
        (Column("invoice", width=21), lambda invoice: short_name(invoice.issued.name)),
        (Column("type", width=4), lambda invoice: invoice.issued.type),
        (
            Column("issued at", width=19 if wide else _MINUTES),
            lambda invoice: civil(invoice.issued.issue_time)[: None if wide else _MINUTES],
        ),
        (
            Column("net (yuan)", right=True, width=16 if wide else 12),
            lambda invoice: yuan(invoice.net_fen),
        ),
        (Column("state", fold=8, width=15 if wide else 8), state_word),
        (
            Column("upload", fold=9, width=18 if wide else 9),
            lambda invoice: upload_word(invoice.upload_state),
        ),
    ]
    if width >= _WITH_KIND:
        columns.append((Column("kind", width=4), kind_word))
    if width >= _WITH_BUYER:
        columns.append((Column("buyer", fold=FOLD, width=FOLD), buyer_name))
    return columns
