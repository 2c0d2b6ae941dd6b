"""Voids (作废) and blank voids (空白作废): the exact bytes that are signed, and how to read them again.

UTF-8 JSON in fixed order, as the content of an invoice is (see ``content.py``). Every member stands
in every statement.
"""

from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final, NamedTuple

import orjson

from invoice.content import BLANK_VOID_TAG, SHANGHAI, VOID_TAG


class StatementKind(StrEnum):
    """What a statement ends: an invoice, or a number that never became one."""

    VOID = "VOID"
    BLANK_VOID = "BLANK_VOID"

    @property
    def tag(self) -> bytes:
        """What stands before the content when it is signed; the content's schema too."""
        return _TAGS[self]


class StatementFacts(NamedTuple):
    """What a verifier and the books need from a statement.

    ``void_time`` is unix seconds; ``invoice_digest`` is ``""`` in a blank void.
    """

    device: str
    code: str
    number: str
    void_time: int
    taxpayer: str
    point: int
    type: str
    invoice_digest: str
    reason: str


_TAGS: Final = {StatementKind.VOID: VOID_TAG, StatementKind.BLANK_VOID: BLANK_VOID_TAG}
_MEMBERS: Final = ("schema", *StatementFacts._fields)
_BLANK_MEMBERS: Final = tuple(name for name in _MEMBERS if name != "invoice_digest")


def void(
    invoice: bytes,
    *,
    device: str,
    code: str,
    number: str,
    void_time: int,
    taxpayer: str,
    point: int,
    type: str,
    reason: str,
) -> bytes:
    """Return the content of a void; ``invoice`` is the content of what is voided."""
    return orjson.dumps(
        {
            "schema": VOID_TAG.decode(),
            "device": device,
            "code": code,
            "number": number,
            "void_time": _civil(void_time),
            "taxpayer": taxpayer,
            "point": point,
            "type": type,
            "invoice_digest": invoice_digest(invoice),
            "reason": reason,
        }
    )


def blank_void(
    *,
    device: str,
    code: str,
    number: str,
    void_time: int,
    taxpayer: str,
    point: int,
    type: str,
    reason: str,
) -> bytes:
    """Return the content of a blank void."""
    return orjson.dumps(
        {
            "schema": BLANK_VOID_TAG.decode(),
            "device": device,
            "code": code,
            "number": number,
            "void_time": _civil(void_time),
            "taxpayer": taxpayer,
            "point": point,
            "type": type,
            "reason": reason,
        }
    )


def invoice_digest(content: bytes) -> str:
    """Return how a void names the bytes it ends: their SHA-256 in lower-case hexadecimal digits."""
    return sha256(content).hexdigest()


def facts(kind: StatementKind, content: bytes) -> StatementFacts:
    """Return what a statement says; ``ValueError`` when it is none of this kind."""
    members = orjson.loads(content)
    expected = _MEMBERS if kind is StatementKind.VOID else _BLANK_MEMBERS
    if not isinstance(members, dict) or tuple(members) != expected:
        raise ValueError(f"not the members of a {kind}")
    schema = members.pop("schema")
    if schema != kind.tag.decode():
        raise ValueError(f"{schema} is not the schema of a {kind}")
    try:
        told_at = datetime.fromisoformat(members["void_time"])
    except TypeError as error:
        raise ValueError(f"not a time: {members['void_time']}") from error
    void_time = int(told_at.astimezone(UTC).timestamp())
    return StatementFacts(**{"invoice_digest": "", **members, "void_time": void_time})


def month(time: int) -> tuple[int, int]:
    """Return year and month of a time in Shanghai: the period it belongs to (所属期)."""
    civil = datetime.fromtimestamp(time, SHANGHAI)
    return civil.year, civil.month


def _civil(time: int) -> str:
    return datetime.fromtimestamp(time, SHANGHAI).isoformat()
