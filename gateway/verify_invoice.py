"""Telling a stranger whether an invoice is genuine (查验).

What does not fit in every part is answered as an unknown invoice is, after the same work: nobody
learns which numbers are taken, nor which part was wrong.
"""

import re
from datetime import date
from hmac import compare_digest
from typing import Final, NamedTuple

from gateway import convert
from gateway.caller_limit import CallerLimit
from invoice import marks
from invoice.errors import InvalidRequest
from invoice.identifiers import invoice_code_valid, invoice_number_valid
from invoice.lifecycle import InvoiceState
from invoice.types import TYPES
from ledger.port import Ledger
from ledger.queries import PrintedRecord
from taxcontrol.v1 import invoice_query_pb2 as pb2

_VERDICTS: Final = {
    InvoiceState.ISSUED: pb2.VerifyInvoiceResponse.VERDICT_GENUINE,
    InvoiceState.VOIDED: pb2.VerifyInvoiceResponse.VERDICT_VOIDED,
    InvoiceState.PARTLY_REVERSED: pb2.VerifyInvoiceResponse.VERDICT_REVERSED,
    InvoiceState.REVERSED: pb2.VerifyInvoiceResponse.VERDICT_REVERSED,
}
_SHORT_CHARACTERS: Final = 6
_CHECK_CODE: Final = re.compile(r"([0-9a-z]{6}|[0-9]{20})?")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

# Compared with where there is no invoice; nothing is printed like this.
_NOBODYS: Final = PrintedRecord(
    type="026", state=InvoiceState.RESERVED, issue_time=0, net_fen=0, check_code="-" * 20
)


class _Claim(NamedTuple):
    """What a stranger holds. ``kind`` is that of the QR text, ``""`` when it was typed in."""

    kind: str
    code: str
    number: str
    issue_date: date
    net_fen: int
    check_code: str


class Verifier:
    """Answers strangers, each so many times a minute."""

    def __init__(self, *, ledger: Ledger, limit: CallerLimit) -> None:
        self._ledger = ledger
        self._limit = limit

    async def verify(
        self, request: pb2.VerifyInvoiceRequest, peer: str
    ) -> pb2.VerifyInvoiceResponse:
        """Answer what may be told.

        Raises:
            RateLimited, InvalidRequest, LedgerUnavailable
        """
        self._limit.take(peer)
        claim = _claim(request)
        found = await self._ledger.find_printed(claim.code, claim.number)
        fits = _fits(claim, found or _NOBODYS)
        verdict = pb2.VerifyInvoiceResponse.VERDICT_NOT_OURS
        if found is not None and fits:
            verdict = _VERDICTS.get(found.state, verdict)
        return pb2.VerifyInvoiceResponse(verdict=verdict)


def _claim(request: pb2.VerifyInvoiceRequest) -> _Claim:
    match request.WhichOneof("key"):
        case "qr_text":
            qr = marks.parse_qr(request.qr_text)
            return _Claim(qr.kind, qr.code, qr.number, qr.issue_date, qr.net_fen, qr.check_code)
        case "printed":
            return _printed(request.printed)
        case _:
            raise InvalidRequest("key", "FIELD_REQUIRED", "qr_text or printed")


def _printed(printed: pb2.PrintedInvoice) -> _Claim:
    if not printed.number:
        raise InvalidRequest("printed.number", "FIELD_REQUIRED", "as printed, with leading zeros")
    if not invoice_code_valid(printed.code):
        raise InvalidRequest("printed.code", "FIELD_FORMAT", "no invoice has such a code")
    if not invoice_number_valid(printed.number, code=printed.code):
        raise InvalidRequest(
            "printed.number", "FIELD_FORMAT", "digits in full width, as numbers with this code have"
        )
    if _CHECK_CODE.fullmatch(printed.check_code) is None:
        raise InvalidRequest(
            "printed.check_code", "FIELD_FORMAT", "the check code, or its last six characters"
        )
    return _Claim(
        "",
        printed.code,
        printed.number,
        _day(printed.issue_date),
        printed.net_fen,
        printed.check_code,
    )


def _day(text: str) -> date:
    field = "printed.issue_date"
    if not text:
        raise InvalidRequest(field, "FIELD_REQUIRED", "YYYY-MM-DD")
    if _DAY.fullmatch(text) is None:
        raise InvalidRequest(field, "FIELD_FORMAT", "must read YYYY-MM-DD")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidRequest(field, "FIELD_FORMAT", f"no such day: {text}") from error


def _fits(claim: _Claim, found: PrintedRecord) -> bool:
    """Whether every part is as printed; all are looked at, whatever the first ones say."""
    stated, stored = claim.check_code.encode(), found.check_code.encode()
    if len(stated) == _SHORT_CHARACTERS:
        stored = stored[-_SHORT_CHARACTERS:]
    parts = (
        compare_digest(stated, stored),
        claim.issue_date == convert.civil_date(found.issue_time),
        claim.net_fen == found.net_fen,
        claim.kind in ("", TYPES[found.type].qr_kind),
    )
    return all(parts)
