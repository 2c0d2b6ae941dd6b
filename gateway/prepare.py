"""A request is looked at before anything happens: who asks where for what, and what stands against it."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway import convert
from gateway.authorities import Authorities
from gateway.lanes import SHORT_LINE_COUNT_MAX, Slices
from gateway.registry import Registry, Seat
from hsm.port import Signer
from invoice import content, rates, rules
from invoice.document import Draft, Line
from invoice.errors import HsmUnavailable, InvalidInvoice, InvoiceError, Violation
from invoice.identifiers import check_request_id, parse_point_name
from invoice.types import TYPES
from ledger.records import OriginalRef, Reservation
from taxcontrol.v1.invoice_service_pb2 import IssueInvoiceRequest

# What no invoice has more of; checked before any line is looked at.
LINE_COUNT_MAX = max(row.line_count_max for row in TYPES.values())
# About a millisecond of reading.
_READ_LINE_COUNT = 100


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that was looked at: what it asks for and where.

    ``reservation`` is what the issuer gets; None when ``refusal`` says why it gets nothing today.
    ``mirrored``: a red made of its blue. ``bulk`` gives way to others.
    """

    request_id: str
    draft: Draft
    seat: Seat
    reservation: Reservation | None = None
    refusal: InvoiceError | None = None
    mirrored: bool = False
    bulk: bool = False


class Preparer:
    """Checks requests to issue, without any effect. ``slices`` are those of all long checks."""

    def __init__(
        self, *, registry: Registry, signer: Signer, authorities: Authorities, tenant: str
    ) -> None:
        self.tenant = tenant
        self.slices = Slices()
        self._registry = registry
        self._signer = signer
        self._authorities = authorities

    async def issue(self, request: IssueInvoiceRequest, *, reload: bool) -> Prepared:
        """Check a request; ``reload`` reads its taxpayer's registration again before.

        Whoever asks for more than ``SHORT_LINE_COUNT_MAX`` lines holds a lane meanwhile.

        Raises:
            InvoiceError: There is nothing that could have been issued under this id either.
        """
        check_request_id(request.request_id)
        taxpayer, point = parse_point_name(request.point)
        if len(request.lines) > LINE_COUNT_MAX:  # not worth reading any further
            raise InvalidInvoice([_too_many_lines(len(request.lines))])
        seat = await self.seat(taxpayer, point, reload=reload)
        if len(request.lines) > SHORT_LINE_COUNT_MAX:
            return await self._in_slices(request, seat)
        draft, unknown = convert.draft(request)
        violations = (*unknown, *rules.violations(draft, seat.record.taxpayer))
        return self.judged(
            request.request_id, draft, seat, violations, bulk=convert.bulk(request.priority)
        )

    async def _in_slices(self, request: IssueInvoiceRequest, seat: Seat) -> Prepared:
        """The same for many lines, with breaths."""
        lines: list[Line] = []
        unknown: list[Violation] = []
        for first in range(0, len(request.lines), _READ_LINE_COUNT):
            await self.slices.breathe()
            some = convert.lines(request.lines[first : first + _READ_LINE_COUNT], first)
            lines += some[0]
            unknown += some[1]
        draft, violations = convert.draft_of(request, lines, unknown)
        for found in rules.violations_in_turn(draft, seat.record.taxpayer):
            await self.slices.breathe()
            violations += found
        await self.slices.breathe()
        return self.judged(
            request.request_id, draft, seat, violations, bulk=convert.bulk(request.priority)
        )

    async def seat(self, tax_number: str, point: int, *, reload: bool) -> Seat:
        """Where ``point`` issues; raise ``TaxpayerNotFound``, ``PointNotFound``, ``DeviceNotReady``."""
        if reload:
            await self._registry.reload(self.tenant, tax_number)
        return await self._registry.seat(self.tenant, tax_number, point)

    def judged(
        self,
        request_id: str,
        draft: Draft,
        seat: Seat,
        violations: Sequence[Violation],
        *,
        mirrored: bool = False,
        bulk: bool = False,
    ) -> Prepared:
        """What to ask the issuer for, or why not; raise ``ContentTooLarge``."""
        refusal = InvalidInvoice(violations) if violations else self._closed(seat)
        if refusal is not None:
            return Prepared(request_id, draft, seat, refusal=refusal, mirrored=mirrored, bulk=bulk)
        wish = self._reservation(request_id, draft, seat, mirrored=mirrored, bulk=bulk)
        return Prepared(request_id, draft, seat, wish, mirrored=mirrored, bulk=bulk)

    def wanted(self, refused: Prepared) -> Reservation:
        """What a refused request would have asked for; raise ``ContentTooLarge``."""
        return self._reservation(
            refused.request_id,
            refused.draft,
            refused.seat,
            mirrored=refused.mirrored,
            bulk=refused.bulk,
        )

    def _closed(self, seat: Seat) -> InvoiceError | None:
        """Why no number may be taken right now, whatever the request."""
        if not self._signer.available(seat.key.key_id):
            return HsmUnavailable("the signing device is away; no number was taken", retry_s=1.0)
        try:
            self._authorities.check_clock(seat.record.taxpayer.grants)
        except InvoiceError as error:
            return error
        return None

    def _reservation(
        self, request_id: str, draft: Draft, seat: Seat, *, mirrored: bool, bulk: bool
    ) -> Reservation:
        taxpayer = seat.record.taxpayer
        tail = content.tail(draft, taxpayer=taxpayer.tax_number, point=seat.point, large=mirrored)
        blue = draft.original
        return Reservation(
            tenant=self.tenant,
            request_id=request_id,
            fingerprint=content.fingerprint(tail),
            tax_number=taxpayer.tax_number,
            taxpayer_version=taxpayer.version,
            point=seat.point,
            type=draft.type,
            kind=draft.kind,
            net_fen=draft.net_fen,
            tax_fen=draft.tax_fen,
            tail=tail,
            original=None if blue is None else OriginalRef(code=blue.code, number=blue.number),
            red_notice_number=draft.red_notice_number,
            buyer_tax_number=draft.buyer.tax_number,
            bulk=bulk,
            rates=rates.of_lines(draft.lines),
        )


def _too_many_lines(count: int) -> Violation:
    return Violation(
        "lines", "LINE_COUNT", f"{count} lines; no type has more than {LINE_COUNT_MAX}"
    )
