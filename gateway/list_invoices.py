"""Listing invoices: the request's filter checked, a page found, cut to size and given its token."""

import dataclasses
import re
import struct
from typing import Final

import orjson
from google.protobuf.timestamp_pb2 import Timestamp

from gateway import convert, requests
from gateway.registry import Registry
from gateway.resume_token import Tokens
from gateway.scope import Scope, scope_of
from invoice.errors import InvalidRequest
from invoice.identifiers import (
    buyer_tax_number_valid,
    invoice_code_valid,
)
from invoice.lifecycle import InvoiceState, UploadState
from invoice.types import TYPES
from ledger.port import Ledger
from ledger.queries import InvoiceFilter, InvoicePage, ListPosition
from taxcontrol.v1 import invoice_pb2
from taxcontrol.v1 import invoice_query_pb2 as pb2

PAGE_BYTES_MAX: Final = 4 * 1024 * 1024
_SIZE_DEFAULT: Final = 50
_SIZE_MAX: Final = 500
# What a page holds beside its invoices, and each of them for its own frame.
_TOKEN_BYTES: Final = 256
_FRAME_BYTES: Final = 8
# Timestamps are of the years 1 to 9999.
_SECONDS_MIN: Final = -62_135_596_800
_SECONDS_MAX: Final = 253_402_300_799
_NANOS_MAX: Final = 999_999_999
_DIGITS: Final = re.compile(r"[0-9]+")
_POSITION: Final = struct.Struct(">qq")


class Lister:
    """Lists the invoices of one tenant's taxpayers."""

    def __init__(self, *, ledger: Ledger, registry: Registry, tokens: Tokens, tenant: str) -> None:
        self._ledger = ledger
        self._registry = registry
        self._tokens = tokens
        self._tenant = tenant

    async def page(self, request: pb2.ListInvoicesRequest) -> pb2.ListInvoicesResponse:
        """Answer one page.

        Raises:
            InvalidRequest, TaxpayerNotFound, PointNotFound, LedgerUnavailable
        """
        size = requests.page_size(request.page_size, default=_SIZE_DEFAULT, most=_SIZE_MAX)
        scope = await scope_of(request.parent, registry=self._registry, tenant=self._tenant)
        wanted = _filter(request, scope)
        bound = self._bound(wanted, newest_first=request.newest_first)
        after = None
        if request.page_token:
            after = _unpacked(self._tokens.read(request.page_token, bound, field="page_token"))
        page = await self._ledger.list_invoices(
            self._tenant,
            wanted,
            after=after,
            count_max=size,
            bytes_max=PAGE_BYTES_MAX,
            newest_first=request.newest_first,
        )
        return self._response(page, bound)

    def _response(self, page: InvoicePage, bound: bytes) -> pb2.ListInvoicesResponse:
        """The page on the wire; what does not fit comes with the next one."""
        response = pb2.ListInvoicesResponse()
        following = page.next
        left = PAGE_BYTES_MAX - _TOKEN_BYTES
        last: ListPosition | None = None
        for record, position in zip(page.records, page.positions, strict=True):
            invoice = convert.invoice(record, certificates=False)
            left -= invoice.ByteSize() + _FRAME_BYTES
            if left < 0 and last is not None:
                following = last
                break
            response.invoices.append(invoice)
            last = position
        if following is not None:
            response.next_page_token = self._tokens.make(bound, _packed(following))
        return response

    def _bound(self, wanted: InvoiceFilter, *, newest_first: bool) -> bytes:
        return orjson.dumps(["list", self._tenant, dataclasses.asdict(wanted), newest_first])


def _filter(request: pb2.ListInvoicesRequest, scope: Scope) -> InvoiceFilter:
    if request.type:
        requests.check_type(request.type)
    if request.buyer_tax_number and not buyer_tax_number_valid(request.buyer_tax_number):
        raise InvalidRequest("buyer_tax_number", "FIELD_FORMAT", "not the tax number of a buyer")
    _check_numbers(request)
    issued_from = _seconds(request, "issued_from")
    issued_before = _seconds(request, "issued_before")
    if issued_from is not None and issued_before is not None and issued_before < issued_from:
        raise InvalidRequest("issued_before", "FIELD_RANGE", "must not be before issued_from")
    return InvoiceFilter(
        tax_number=scope.tax_number,
        point=scope.point,
        type=request.type,
        code=request.code,
        first_number=request.first_number,
        last_number=request.last_number,
        issued_from=issued_from,
        issued_before=issued_before,
        state=_state(request.state),
        upload_state=_upload_state(request.upload_state),
        buyer_tax_number=request.buyer_tax_number,
    )


def _check_numbers(request: pb2.ListInvoicesRequest) -> None:
    """Raise ``InvalidRequest`` unless code and range of numbers fit the type, and one another."""
    rows = [TYPES[request.type]] if request.type else list(TYPES.values())
    if request.code and not invoice_code_valid(request.code, types=rows):
        raise InvalidRequest("code", "FIELD_FORMAT", "no invoice of this type has such a code")
    first, last = request.first_number, request.last_number
    for field, number in (("first_number", first), ("last_number", last)):
        if not number:
            continue
        rows = [row for row in rows if row.number_width == len(number)]
        if not rows or _DIGITS.fullmatch(number) is None:
            raise InvalidRequest(
                field, "FIELD_FORMAT", "digits in the full width of the type, both ends the same"
            )
    if first and last and last < first:
        raise InvalidRequest("last_number", "FIELD_RANGE", "must not be before first_number")
    if (first or last) and not any(len(request.code) in row.code_widths for row in rows):
        if request.code:
            raise InvalidRequest("code", "FIELD_FORMAT", "no such numbers under such a code")
        raise InvalidRequest("code", "FIELD_REQUIRED", "these numbers are unique with a code only")


def _seconds(request: pb2.ListInvoicesRequest, field: str) -> int | None:
    """The first whole second not before a time; None when it is not given."""
    if not request.HasField(field):  # type: ignore[arg-type]  # one of the two times
        return None
    time: Timestamp = getattr(request, field)
    if not (_SECONDS_MIN <= time.seconds <= _SECONDS_MAX and 0 <= time.nanos <= _NANOS_MAX):
        raise InvalidRequest(field, "FIELD_RANGE", "no time of the years 1 to 9999")
    return time.seconds + (time.nanos > 0)


def _state(wire: invoice_pb2.Invoice.State.ValueType) -> InvoiceState | None:
    if not wire:
        return None
    if wire not in invoice_pb2.Invoice.State.values():
        raise InvalidRequest("state", "FIELD_FORMAT", "no such state")
    return InvoiceState(invoice_pb2.Invoice.State.Name(wire).removeprefix("STATE_"))


def _upload_state(wire: invoice_pb2.Invoice.UploadState.ValueType) -> UploadState | None:
    if not wire:
        return None
    if wire not in invoice_pb2.Invoice.UploadState.values():
        raise InvalidRequest("upload_state", "FIELD_FORMAT", "no such upload state")
    name = invoice_pb2.Invoice.UploadState.Name(wire)
    return UploadState(name.removeprefix("UPLOAD_STATE_"))


def _packed(position: ListPosition) -> bytes:
    times = _POSITION.pack(position.issue_time, position.invoice_id)
    return times + position.number.encode("ascii")


def _unpacked(payload: bytes) -> ListPosition:
    issue_time, invoice_id = _POSITION.unpack_from(payload)
    return ListPosition(issue_time, invoice_id, payload[_POSITION.size :].decode("ascii"))
