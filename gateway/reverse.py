"""The full red of a blue (全额红冲): built from the blue's own content, then issued like any other."""

import asyncio

from gateway import convert
from gateway.prepare import Prepared, Preparer
from invoice import content, reversal, rules
from invoice.document import Kind, Original
from invoice.errors import (
    InvalidRequest,
    InvoiceNotFound,
    InvoiceNotReversible,
    RedOriginalNotFound,
    RedTypeMismatch,
)
from invoice.identifiers import (
    InvoiceName,
    PointName,
    check_request_id,
    parse_invoice_name,
    parse_point_name,
)
from invoice.types import TYPES
from ledger.port import Ledger
from ledger.records import Entry
from taxcontrol.v1.invoice_reversal_pb2 import ReverseInvoiceRequest

# Reds of larger blues are drawn up one at a time. About what twenty lines have.
SHORT_BYTES_MAX = 8 * 1024


class Reversal:
    """Looks at requests to reverse. The same request makes the same red, whatever has become of its blue."""

    def __init__(self, *, preparer: Preparer, ledger: Ledger) -> None:
        self._preparer = preparer
        self._ledger = ledger
        self._long = asyncio.Lock()

    async def prepare(self, request: ReverseInvoiceRequest, *, reload: bool) -> Prepared:
        """Draw up the red and judge it.

        Raises:
            InvoiceError: There is nothing that could have been issued under this id either.
        """
        check_request_id(request.request_id)
        name = parse_invoice_name(request.name)
        asked = parse_point_name(request.point) if request.point else None
        blue = await self._blue(request, name)
        if len(blue.content) <= SHORT_BYTES_MAX:
            return await self._red(request, name, asked, blue, reload=reload)
        del blue  # whoever waits for its turn holds nothing large
        async with self._long:
            blue = await self._blue(request, name)
            return await self._red(request, name, asked, blue, reload=reload)

    async def _red(
        self,
        request: ReverseInvoiceRequest,
        name: InvoiceName,
        asked: PointName | None,
        blue: Entry,
        *,
        reload: bool,
    ) -> Prepared:
        place = asked or PointName(blue.tax_number, blue.point)
        if place.taxpayer != name.taxpayer:  # the point's taxpayer has no such invoice
            raise RedOriginalNotFound(name.code, name.number)
        red_type = _type(request, blue)
        seat = await self._preparer.seat(place.taxpayer, place.point, reload=reload)
        long, slices = len(blue.content) > SHORT_BYTES_MAX, self._preparer.slices
        members = content.read(blue.content)
        if long:
            await slices.breathe()
        draft = reversal.full_red(
            members,
            type=red_type,
            clerk=request.clerk,
            red_reason=request.red_reason,
            red_notice_number=request.red_notice_number,
            original=Original(code=blue.code, number=blue.number),
        )
        if long:
            await slices.breathe()
        violations = rules.red_violations(draft, seat.record.taxpayer)
        if long:
            await slices.breathe()
        return self._preparer.judged(
            request.request_id,
            draft,
            seat,
            violations,
            mirrored=True,
            bulk=convert.bulk(request.priority),
        )

    async def _blue(self, request: ReverseInvoiceRequest, name: InvoiceName) -> Entry:
        record = await self._ledger.find_invoice(
            self._preparer.tenant, name.taxpayer, name.code, name.number
        )
        if record is None:
            raise InvoiceNotFound("no such invoice", name=request.name)
        if not record.entry.content:  # a number that never became an invoice
            raise InvoiceNotReversible(name.code, name.number, state=record.entry.state.value)
        return record.entry


def _type(request: ReverseInvoiceRequest, blue: Entry) -> str:
    """The type of the red; raise unless such a red can reverse this invoice."""
    red_type = request.type or blue.type
    row = TYPES.get(red_type)
    # A type that nobody has is named by the rules.
    fits = row is None or blue.type in row.reverses
    if blue.kind is Kind.BLUE and fits:
        return red_type
    if blue.kind is Kind.BLUE and not request.type:
        raise InvalidRequest("type", "FIELD_REQUIRED", f"no red {blue.type}; name a type that has")
    raise RedTypeMismatch(type=red_type, original_type=blue.type, original_kind=blue.kind)
