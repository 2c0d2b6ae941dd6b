"""What all requests of operators have in common: ids, resource names, pages, reasons."""

import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from gateway import actor
from invoice.errors import InvalidRequest
from invoice.identifiers import check_request_id
from invoice.rules_text import gbk_bytes, printable
from invoice.types import TYPES
from ledger.records import Act, Binding

REASON_CHARACTERS_MAX = 500
STATEMENT_REASON_BYTES_MAX = 200
# How a write is asked for is not part of what is asked.
_NOT_IDENTITY = ("request_id", "reason", "validate_only")


def binding(
    tenant: str, action: str, request: Message, request_id: str, *, reason_counts: bool = False
) -> Binding:
    """What ``request_id`` stands for: the request in canonical JSON. Raise ``InvalidRequest``.

    ``reason_counts``: another reason is another request, since it stands in what is signed.
    ``request`` has no field that only answers have: those mean nothing in a request, and may hold
    what JSON cannot (a time beyond the year 9999).
    """
    check_request_id(request_id)
    asked = MessageToDict(request, preserving_proto_field_name=True)
    meant = {
        name: value
        for name, value in asked.items()
        if name not in _NOT_IDENTITY or (reason_counts and name == "reason")
    }
    return Binding(
        tenant=tenant,
        request_id=request_id,
        action=action,
        request=orjson.dumps(meant, option=orjson.OPT_SORT_KEYS),
    )


def act(reason: str, now: float) -> Act:
    """Who does it and why. Raise ``InvalidRequest`` for a reason that is too long."""
    if len(reason) > REASON_CHARACTERS_MAX:
        raise InvalidRequest(
            "reason", "FIELD_TOO_LONG", f"at most {REASON_CHARACTERS_MAX} characters"
        )
    return Act(actor=actor.current(), reason=reason, at=now)


def act_for_reason(reason: str, now: float) -> Act:
    """The same of a write that needs a reason. Raise ``InvalidRequest`` without one."""
    if not reason.strip():
        raise InvalidRequest("reason", "FIELD_REQUIRED", "goes on the audit record")
    return act(reason, now)


def check_statement_reason(reason: str) -> None:
    """Raise ``InvalidRequest`` unless ``reason`` can stand in a signed statement."""
    if not reason.strip():
        raise InvalidRequest("reason", "FIELD_REQUIRED", "why it is voided")
    if not printable(reason):
        message = "holds a control character or a character outside GBK"
        raise InvalidRequest("reason", "FIELD_FORMAT", message)
    if (size := gbk_bytes(reason)) > STATEMENT_REASON_BYTES_MAX:
        message = f"{size} GBK bytes, at most {STATEMENT_REASON_BYTES_MAX}"
        raise InvalidRequest("reason", "FIELD_TOO_LONG", message)


def check_type(type_code: str, *, field: str = "type") -> None:
    """Raise ``InvalidRequest`` unless ``type_code`` is an invoice type there is."""
    if not type_code:
        raise InvalidRequest(field, "FIELD_REQUIRED", "an invoice type such as 026")
    if type_code not in TYPES:
        raise InvalidRequest(field, "FIELD_FORMAT", "no such invoice type")


def check_count(count: int, *, count_max: int = 1_000_000) -> None:
    """Raise ``InvalidRequest`` unless ``count`` is in ``[1, count_max]``."""
    if not 1 <= count <= count_max:
        raise InvalidRequest("count", "FIELD_RANGE", f"must be 1 to {count_max}, not {count}")


def page_size(asked: int, *, default: int, most: int, field: str = "page_size") -> int:
    """How many rows a page has: 0 means ``default``, more than ``most`` means ``most``."""
    if asked < 0:
        raise InvalidRequest(field, "FIELD_RANGE", "must not be negative")
    return min(asked or default, most)


def page_number(token: str) -> int:
    """The row id a page starts after; 0 for the first page."""
    if not token:
        return 0
    # Ids are 64-bit; longer digits are somebody's invention.
    if not (token.isascii() and token.isdigit() and len(token) <= 18):
        raise InvalidRequest("page_token", "FIELD_FORMAT", "not a token of this list")
    return int(token)
