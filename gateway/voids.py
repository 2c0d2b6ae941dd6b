"""What a void (作废) or blank void (空白作废) asks for, and what stands against it."""

from dataclasses import dataclass
from functools import partial

from gateway import requests
from gateway.authorities import Authorities
from gateway.clock import Clock
from gateway.deadline import Deadline
from gateway.registry import Registry
from gateway.statements import Stated, Statements, Wish
from hsm.port import Signer
from invoice.errors import HsmUnavailable, InvalidRequest, InvoiceNotFound
from invoice.identifiers import (
    InvoiceName,
    PointName,
    invoice_code_valid,
    invoice_name,
    invoice_number_valid,
    parse_invoice_name,
    parse_point_name,
)
from invoice.lifecycle import InvoiceState
from invoice.types import TYPES
from ledger.port import Ledger
from taxcontrol.admin.v1.stock_admin_service_pb2 import VoidBlankNumberRequest
from taxcontrol.v1.invoice_reversal_pb2 import VoidInvoiceRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Voids:
    """Reads requests to void and has their statements made."""

    statements: Statements
    ledger: Ledger
    registry: Registry
    signer: Signer
    authorities: Authorities
    clock: Clock
    worker: str
    tenant: str

    async def invoice(self, request: VoidInvoiceRequest, deadline: Deadline) -> Stated:
        """Void an invoice."""
        name = parse_invoice_name(request.name)
        requests.check_statement_reason(request.reason)
        binding = requests.binding(
            self.tenant, "void_invoice", request, request.request_id, reason_counts=True
        )
        now = self.clock.now()
        reserve = partial(
            self.ledger.reserve_void,
            tax_number=name.taxpayer,
            code=name.code,
            number=name.number,
            reason=request.reason,
            binding=binding,
            act=requests.act(request.reason, now),
            worker=self.worker,
            now=now,
            clock_trusted=await self._clock_trusted(name.taxpayer),
        )
        return await self.statements.state(
            Wish(binding, partial(self._check_invoice, name), reserve), deadline
        )

    async def blank_number(self, request: VoidBlankNumberRequest, deadline: Deadline) -> Stated:
        """Void a number that is no invoice."""
        place = parse_point_name(request.point)
        requests.check_type(request.type)
        _check_number(request)
        requests.check_statement_reason(request.reason)
        binding = requests.binding(
            self.tenant, "void_blank_number", request, request.request_id, reason_counts=True
        )
        now = self.clock.now()
        reserve = partial(
            self.ledger.reserve_blank_void,
            tax_number=place.taxpayer,
            point=place.point,
            type=request.type,
            code=request.code,
            number=request.number,
            reason=request.reason,
            binding=binding,
            act=requests.act(request.reason, now),
            worker=self.worker,
            now=now,
            clock_trusted=await self._clock_trusted(place.taxpayer),
        )
        name = InvoiceName(place.taxpayer, request.code, request.number)
        wish = Wish(binding, partial(self._check_number, name, place), reserve)
        if request.validate_only:
            return await self.statements.preview(wish)
        return await self.statements.state(wish, deadline)

    async def _clock_trusted(self, tax_number: str) -> bool:
        record = await self.ledger.taxpayer(self.tenant, tax_number)
        return record is not None and self.authorities.clock_trusted(record.taxpayer.grants)

    async def _check_invoice(self, name: InvoiceName) -> None:
        found = await self.ledger.find_invoice(self.tenant, *name)
        if found is None:
            raise InvoiceNotFound("no such invoice", name=invoice_name(*name))
        await self._check_device(name.taxpayer, found.entry.machine_number)
        await self._check_clock(name.taxpayer)

    async def _check_number(self, name: InvoiceName, place: PointName) -> None:
        found = await self.ledger.find_invoice(self.tenant, *name)
        # Nobody gives up a number that waits for its signature but while its device is away.
        if found is None or found.entry.state is not InvoiceState.RESERVED:
            seat = await self.registry.seat(self.tenant, *place)
            await self._check_device(place.taxpayer, seat.device.machine_number)
        await self._check_clock(place.taxpayer)

    async def _check_device(self, tax_number: str, machine_number: str) -> None:
        """Raise when what is decided now could not be signed now."""
        key = await self.registry.signing_key(self.tenant, tax_number, machine_number)
        if not self.signer.available(key.key_id):
            raise HsmUnavailable("the signing device is away; nothing was decided", retry_s=1.0)

    async def _check_clock(self, tax_number: str) -> None:
        record = await self.registry.record(self.tenant, tax_number)
        self.authorities.check_clock(record.taxpayer.grants)


def _check_number(request: VoidBlankNumberRequest) -> None:
    """Raise ``InvalidRequest`` unless code and number are such as the type has."""
    if not request.number:
        raise InvalidRequest("number", "FIELD_REQUIRED", "the number to void")
    types = (TYPES[request.type],)
    if not invoice_code_valid(request.code, types=types):
        raise InvalidRequest("code", "FIELD_FORMAT", "no code of this type")
    if not invoice_number_valid(request.number, code=request.code, types=types):
        raise InvalidRequest("number", "FIELD_FORMAT", "no number of this type")
