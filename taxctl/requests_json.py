"""``IssueInvoiceRequest`` in JSON: one object, an array of them, or one after another (JSON lines).

A document that cannot be read in whole is not taken at all, and all that is wrong with it is named.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from taxcontrol.v1.invoice_service_pb2 import IssueInvoiceRequest
from taxctl.names import point_name
from taxctl.wire_json import DECODER, Fault, fill
from taxctl.words import tr

DOCUMENT_BYTES_MAX: Final = 32 * 1024 * 1024
_FAULTS_NAMED: Final = 10
_BLANK: Final = re.compile(r"[ \t\n\r]*")
_BYTE_ORDER_MARK: Final = "\ufeff"


class NotRequests(Exception):
    """The document cannot be taken; the sentence names what is wrong and where.

    Rules: DOCUMENT_TOO_LARGE, ENCODING, JSON_MALFORMED, ELEMENT_MISSING (no request in it), and of
    a field FIELD_FORMAT, FIELD_UNKNOWN, FIELD_REPEATED.
    """


@dataclass(frozen=True, slots=True)
class Placed:
    """A request and where in its document it stands: ``[2]``, ``line 3``, or empty."""

    place: str
    request: IssueInvoiceRequest


def looks_like_json(data: bytes) -> bool:
    """Whether the first character says JSON; FPKJ begins with ``<``."""
    return data.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")[:1] in (b"{", b"[")


def read(data: bytes, *, point: int) -> list[Placed]:
    """Read the requests of one document, in its order.

    A request that names no point is issued at ``point`` of its seller.

    Raises:
        NotRequests: The document cannot be read in whole; nothing of it is taken.
    """
    placed: list[Placed] = []
    faults: list[Fault] = []
    for place, value in _items(_values(_decoded(data))):
        request = IssueInvoiceRequest()
        faults += [_moved(fault, place) for fault in fill(request, value)]
        if not request.point and request.seller.tax_number:
            request.point = point_name(request.seller.tax_number, point)
        placed.append(Placed(place, request))
    if faults:
        raise NotRequests(_sentence(faults))
    if not placed:
        raise NotRequests(tr("ELEMENT_MISSING: no request in the document"))
    return placed


def _decoded(data: bytes) -> str:
    if len(data) > DOCUMENT_BYTES_MAX:
        raise NotRequests(
            tr("DOCUMENT_TOO_LARGE: at most {most} bytes").format(most=DOCUMENT_BYTES_MAX)
        )
    try:
        return data.decode().removeprefix(_BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        raise NotRequests(
            tr("ENCODING: byte {place} is not UTF-8").format(place=error.start)
        ) from error


def _values(text: str) -> Iterator[tuple[int, object]]:
    """Yield each JSON value of ``text`` with its line."""
    end = _blank(text, 0)
    line, counted = 1, 0
    while end < len(text):
        line, counted = line + text.count("\n", counted, end), end
        try:
            value, end = DECODER.raw_decode(text, end)
        except RecursionError as error:
            raise NotRequests(
                tr("line {line}: JSON_MALFORMED: nested too deeply").format(line=line)
            ) from error
        except ValueError as error:
            raise NotRequests(_malformed(error, line)) from error
        yield line, value
        end = _blank(text, end)


def _blank(text: str, start: int) -> int:
    match = _BLANK.match(text, start)
    return match.end() if match else start


def _malformed(error: ValueError, line: int) -> str:
    if isinstance(error, json.JSONDecodeError):
        return tr("line {line} column {column}: JSON_MALFORMED: {error}").format(
            line=error.lineno, column=error.colno, error=error.msg
        )
    return tr("line {line}: JSON_MALFORMED: {error}").format(line=line, error=error)


def _items(values: Iterator[tuple[int, object]]) -> Iterator[tuple[str, object]]:
    found = list(values)
    if len(found) == 1:
        value = found[0][1]
        if not isinstance(value, list):
            yield "", value
            return
        yield from ((f"[{place}]", one) for place, one in enumerate(value))
        return
    yield from ((tr("line {line}").format(line=line), value) for line, value in found)


def _moved(fault: Fault, place: str) -> Fault:
    if not place:
        return fault
    joint = "." if place.startswith("[") else ": "
    return Fault(
        f"{place}{joint}{fault.field}" if fault.field else place, fault.rule, fault.message
    )


def _sentence(faults: Sequence[Fault]) -> str:
    named = "; ".join(str(fault) for fault in faults[:_FAULTS_NAMED])
    more = len(faults) - _FAULTS_NAMED
    return tr("{named}; and {count} more").format(named=named, count=more) if more > 0 else named
