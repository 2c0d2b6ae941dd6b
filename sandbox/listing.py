"""Listing everything, page by page."""

from collections.abc import Iterator
from typing import Final

from sandbox.stage import Disagreement, Stage
from taxcontrol.v1.invoice_pb2 import Invoice
from taxcontrol.v1.invoice_query_pb2 import ListInvoicesRequest

_PAGE_SIZE: Final = 200


def list_all(stage: Stage) -> None:
    """List what every taxpayer has, and what stands reversed or void: nothing missing or twice."""
    deeds, page_count = stage.deeds, 0
    listed: list[Invoice] = []
    for taxpayer in stage.taxpayers:
        for page in pages(stage, ListInvoicesRequest(parent=taxpayer.name, page_size=_PAGE_SIZE)):
            listed += page
            page_count += 1
    names = [one.issued.name for one in listed]
    expected = {one.name for one in deeds.issued} | {one.invoice for one in deeds.blank_voids}
    if len(names) != len(set(names)) or set(names) != expected:
        raise Disagreement(f"{len(expected)} invoices are there, and {len(names)} were listed")
    counts = {
        state: sum(
            len(page)
            for taxpayer in stage.taxpayers
            for page in pages(stage, ListInvoicesRequest(parent=taxpayer.name, state=state))
        )
        for state in (Invoice.STATE_VOIDED, Invoice.STATE_BLANK_VOIDED)
    }
    if list(counts.values()) != [len(deeds.voids), len(deeds.blank_voids)]:
        raise Disagreement("a list by state does not have what was voided")
    stage.tell(
        "list",
        f"{len(names):,} in {page_count} pages, none missing, none twice; by state the voided ones"
        " alone",
    )


def pages(stage: Stage, request: ListInvoicesRequest) -> Iterator[list[Invoice]]:
    """Yield the pages of a list; ``request`` is moved on."""
    while True:
        answer = stage.connection.call(stage.invoices.ListInvoices, request)
        yield list(answer.invoices)
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token
