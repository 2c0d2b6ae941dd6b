"""Looking an invoice up: by its name or number, by request id, or by its QR text.

What is typed goes in the body of a form, never in an address: it may be read off a buyer's paper. The
address of an invoice has its seller and its number, which are no secret.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console import names
from console.failure import CallFailed, Failure
from console.names import Wanted
from console.pages import Pages
from console.sessions import read_form
from taxcontrol.v1.invoice_pb2 import Invoice
from taxcontrol.v1.invoice_query_pb2 import VerifyInvoiceRequest
from taxcontrol.v1.invoice_service_pb2 import GetInvoiceRequest
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub

if TYPE_CHECKING:
    from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceAsyncStub

_TEXT_LENGTH_MAX = 2000
# A bare number is asked for with each taxpayer on the desk; beyond so many, the taxpayer has to be said.
_OWNERS_MAX = 50


class InvoicePages:
    """The look-up, and an invoice."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def form(self, request: Request) -> Response:
        """``GET /invoices``."""
        return self._form(request)

    async def look_up(self, request: Request) -> Response:
        """``POST /invoices``: go to the invoice, or say what the QR text is worth."""
        form = await read_form(request)
        text, owner = form.get("text"), names.parent(form.get("taxpayer"))
        wanted = names.wanted(text) if len(text) <= _TEXT_LENGTH_MAX else None
        if owner is None:
            return self._form(request, text=text, wrong="taxpayer", status=400)
        if wanted is None:
            return self._form(request, text=text, owner=owner, wrong="text", status=400)
        try:
            if wanted.qr_text:
                return await self._verify(request, wanted.qr_text)
            name = await self._find(wanted, owner)
        except CallFailed as error:
            return self._form(
                request,
                text=text,
                owner=owner,
                failure=error.failure,
                status=error.failure.http_status,
            )
        return RedirectResponse(f"/{name}", 303)

    async def show(self, request: Request) -> Response:
        """``GET /taxpayers/{tax_number}/invoices/{number}``."""
        name = f"{names.taxpayer(request)}/invoices/{names.part(request, 'number')}"
        invoice = await self._get(GetInvoiceRequest(name=name))
        return self._pages.show(
            request,
            "invoice.html",
            active="invoices",
            invoice=invoice,
            issued=invoice.issued,
            content=_content(invoice.issued.content),
        )

    async def _verify(self, request: Request, qr_text: str) -> Response:
        answer = await self._pages.connection.call(
            self._stub.VerifyInvoice, VerifyInvoiceRequest(qr_text=qr_text)
        )
        return self._form(request, text=qr_text, verdict=answer.verdict)

    async def _find(self, wanted: Wanted, owner: str) -> str:
        """The name of the invoice that is looked for: by number first, then by request id."""
        failure: Failure | None = None
        if wanted.rest:
            try:
                return await self._by_number(wanted.rest, self._owners(wanted.owner or owner))
            except CallFailed as error:
                if not wanted.request_id or error.failure.code != "NOT_FOUND":
                    raise
                failure = error.failure
        try:
            found = await self._get(GetInvoiceRequest(request_id=wanted.request_id))
        except CallFailed as error:
            raise CallFailed(failure or error.failure) from error
        return found.issued.name

    async def _by_number(self, rest: str, owners: Iterable[str]) -> str:
        asked = [self._get(GetInvoiceRequest(name=f"{owner}/invoices/{rest}")) for owner in owners]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        failed: CallFailed | None = None
        for answer in answers:
            if isinstance(answer, Invoice):
                return answer.issued.name
            if not isinstance(answer, CallFailed):
                raise answer
            if failed is None or answer.failure.code != "NOT_FOUND":
                failed = answer
        raise failed or CallFailed(_nowhere(rest))

    def _owners(self, owner: str) -> list[str]:
        if owner:
            return [owner]
        view = self._pages.feed.view
        return [one.taxpayer for one in view.taxpayers[:_OWNERS_MAX]] if view else []

    async def _get(self, wanted: GetInvoiceRequest) -> Invoice:
        answer = await self._pages.connection.call(self._stub.GetInvoice, wanted)
        return answer.invoice

    def _form(
        self,
        request: Request,
        *,
        text: str = "",
        owner: str = "",
        wrong: str = "",
        verdict: int = 0,
        failure: Failure | None = None,
        status: int = 200,
    ) -> Response:
        return self._pages.show(
            request,
            "invoices.html",
            active="invoices",
            status=status,
            text=text,
            owner=owner,
            wrong=wrong,
            verdict=verdict,
            failure=failure,
        )

    @property
    def _stub(self) -> "InvoiceServiceAsyncStub":
        return InvoiceServiceStub(self._pages.connection.channel)


def _nowhere(number: str) -> Failure:
    return Failure(reason="INVOICE_NOT_FOUND", code="NOT_FOUND", message=number, answered=True)


def _content(content: bytes) -> Mapping[str, Any]:
    """The signed content to show; empty for a number that was voided blank."""
    if not content:
        return {}
    read = json.loads(content)
    return read if isinstance(read, dict) else {}
