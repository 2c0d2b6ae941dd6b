"""The books of request ids: each has its effect, and no effect is without its id (I3)."""

from collections.abc import Iterable, Iterator

import apsw

from ledger.bindings import request_digest
from ledger.books_tally import found
from ledger.records import Finding
from ledger.values import Row, Value, fetch, fetch_one, from_json

# Every invoice's id was seen to point back at it: equal counts make it one to one.
_ISSUE_IDS = """
SELECT (SELECT count(*) FROM request_id)
       - (SELECT count(*) FROM request_id WHERE action <> 'issue')
       - (SELECT count(*) FROM invoice)
       + (SELECT count(*) FROM statement AS t JOIN invoice AS i ON i.invoice_id = t.invoice_id
           WHERE i.tenant = t.tenant AND i.request_id = t.request_id)
"""
_STRAY_ISSUE_IDS = """
SELECT r.request_id
  FROM request_id AS r
 WHERE r.action = 'issue'
   AND NOT EXISTS (SELECT 1
                     FROM invoice AS i
                    WHERE i.invoice_id = r.invoice_id AND i.tenant = r.tenant
                      AND i.request_id = r.request_id)
 LIMIT 100
"""
_PARTS = (
    (
        "contents",
        """
SELECT count(*) - (SELECT count(*) FROM invoice)
                + (SELECT count(*)
                     FROM statement AS t
                     JOIN invoice AS i ON i.invoice_id = t.invoice_id
                    WHERE i.tenant = t.tenant AND i.request_id = t.request_id)
  FROM content
""",
    ),
    (
        "signatures",
        """
SELECT count(*) - (SELECT count(*) FROM invoice)
                + (SELECT count(*) FROM invoice WHERE state = 'RESERVED')
                + (SELECT count(*) FROM invoice WHERE state = 'BLANK_VOIDED')
  FROM signature
""",
    ),
)
_EFFECTS = """
SELECT r.tenant, r.request_id, r.request, r.effect, a.target, a.detail, a.request_digest
  FROM request_id AS r
  LEFT JOIN audit AS a
    ON a.tenant = r.tenant AND a.request_id = r.request_id AND a.action = r.action
 WHERE r.action <> 'issue'
"""
_UNBOUND_GRANTS = """
SELECT g.request_id
  FROM stock_grant AS g
  LEFT JOIN request_id AS r ON r.tenant = g.tenant AND r.request_id = g.request_id
 WHERE r.request_id IS NULL
"""
# What the authority grants may be another count than was wished for.
_GRANT = """
SELECT 1
  FROM stock_grant
 WHERE authority_request_id = ? AND tenant = ? AND request_id = ? AND type = ?
   AND ? IN ('taxpayers/' || tax_number, '')
   AND (state IN ('GRANTED', 'CONFIRMED') OR count = ?)
"""
_TAXPAYER = "SELECT 1 FROM taxpayer WHERE tax_number = ? AND tenant = ?"
_ACKNOWLEDGED = """
SELECT 1 FROM alert WHERE alert_id = ? AND tenant = ? AND acknowledged_at IS NOT NULL
"""
_STATEMENT = """
SELECT 1
  FROM statement AS t
  JOIN invoice AS i ON i.invoice_id = t.invoice_id
 WHERE t.tenant = ? AND t.request_id = ? AND t.kind = ? AND i.code = ? AND i.number = ?
   AND t.statement_time = ?
"""


def check_writes(connection: apsw.Connection) -> Iterator[Finding]:
    """Check ids against effects, and effects against ids."""
    if fetch_one(connection, _ISSUE_IDS):
        yield found("I3_EXACTLY_ONCE", "request ids", "not as many as invoices")
        for (request_id,) in fetch(connection, _STRAY_ISSUE_IDS):
            yield found("I3_EXACTLY_ONCE", request_id, "it is bound to no invoice")
    for name, statement in _PARTS:
        if fetch_one(connection, statement):
            yield found("I5_SIGNED", name, "not as many as there should be")
    yield from _check_effects(connection)
    for (request_id,) in fetch(connection, _UNBOUND_GRANTS):
        yield found("I3_EXACTLY_ONCE", request_id, "a grant was wished for under an unbound id")


def _check_effects(connection: apsw.Connection) -> Iterator[Finding]:
    """Check what was asked and done under each id of an operator against the record of it."""
    effects: Iterable[Row] = connection.execute(_EFFECTS)
    for tenant, request_id, request, effect, target, detail, digest in effects:
        if target is None:
            yield found("I9_AUDITED", request_id, "an operator's write is not on record")
        elif detail != effect:
            yield found("I9_AUDITED", request_id, "what it did is not what is on record")
        if digest is not None and request_digest(request) != digest:
            yield found(
                "I3_EXACTLY_ONCE", request_id, "it is bound to another request than was made"
            )
        if not _took_effect(connection, (tenant, request_id), effect, target or ""):
            yield found("I3_EXACTLY_ONCE", request_id, "it is bound and has no effect")


def _took_effect(
    connection: apsw.Connection, bound: tuple[str, str], effect: str, target: str
) -> bool:
    told = from_json(effect)
    wanted: list[tuple[str, tuple[Value, ...]]] = []
    if "grant" in told:
        wish = told["grant"], *bound, told["type"], target, told["count"]
        wanted.append((_GRANT, wish))
    elif "statement" in told:
        names = ("statement", "code", "number", "time")
        wanted.append((_STATEMENT, (*bound, *(told[name] for name in names))))
    elif "alert_id" in told:
        wanted.append((_ACKNOWLEDGED, (told["alert_id"], bound[0])))
    elif "segments" not in told:  # where segments lie is checked one by one (books_operators)
        wanted.append((_TAXPAYER, (told["tax_number"], bound[0])))
    return all(fetch_one(connection, statement, values) for statement, values in wanted)
