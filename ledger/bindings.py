"""Request ids on admin writes: bound with the effect, replayed or refused afterwards (I3)."""

from hashlib import sha256
from typing import Any, Final

import apsw

from invoice.content import tail_of
from invoice.errors import RequestIdReused
from ledger.records import Act, Binding
from ledger.values import Json, fetch, from_json, to_json

ISSUE = "issue"
"""The action of every id that is bound to an invoice."""

_FIND = """
SELECT r.action, r.request, r.effect, c.content
  FROM request_id AS r
  LEFT JOIN content AS c ON c.invoice_id = r.invoice_id
 WHERE r.tenant = ? AND r.request_id = ?
"""
_BIND = """
INSERT INTO request_id (tenant, request_id, action, request, effect) VALUES (?, ?, ?, ?, ?)
"""
_AUDIT = """
INSERT INTO audit (tenant, actor, action, target, request_id, reason, detail, at, request_digest)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
AUTHORITY: Final = "authority"
"""Who answers, on the audit record."""
ANSWER: Final = "answer"
"""What it does there."""


def find_binding(connection: apsw.Connection, tenant: str, request_id: str) -> Binding | None:
    """Return what an id stands for; of an issue id the request is the tail of its content."""
    rows = fetch(connection, _FIND, (tenant, request_id))
    if not rows:
        return None
    action, request, _, content = rows[0]
    return Binding(
        tenant=tenant,
        request_id=request_id,
        action=action,
        request=tail_of(content) if action == ISSUE else request,
    )


def first_effect(connection: apsw.Connection, binding: Binding) -> Any:
    """Return what the same request did the first time; None when its id is free.

    Raises:
        RequestIdReused: The id is bound to another request.
    """
    rows = fetch(connection, _FIND, (binding.tenant, binding.request_id))
    if not rows:
        return None
    action, request, effect, _ = rows[0]
    if action != binding.action:
        raise RequestIdReused(binding.request_id, ("action",))
    if request != binding.request:
        raise RequestIdReused(binding.request_id, _differences(request, binding.request))
    return from_json(effect)


def bind(
    connection: apsw.Connection, binding: Binding, act: Act, *, target: str, effect: Json
) -> None:
    """Bind the id to its effect and put the act on record, in the transaction that takes effect."""
    connection.execute(
        _BIND,
        (binding.tenant, binding.request_id, binding.action, binding.request, to_json(effect)),
    )
    connection.execute(
        _AUDIT,
        (
            binding.tenant,
            act.actor,
            binding.action,
            target,
            binding.request_id,
            act.reason,
            to_json(effect),
            act.at,
            request_digest(binding.request),
        ),
    )


def record_answer(
    connection: apsw.Connection,
    tenant: str,
    request_id: str,
    *,
    target: str,
    answer: Json,
    now: float,
) -> None:
    """Put on record what the authority answered to what was bound before."""
    values = (tenant, AUTHORITY, ANSWER, target, request_id, "", to_json(answer), now, None)
    connection.execute(_AUDIT, values)


def request_digest(request: bytes) -> bytes:
    """Return how the audit record knows a request."""
    return sha256(request).digest()


def _differences(first: bytes, second: bytes) -> list[str]:
    a, b = from_json(first), from_json(second)
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))
