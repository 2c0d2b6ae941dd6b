"""The audit record as it is read: who did what to which, when and why. It is written in ``bindings.py``."""

from typing import Final

import apsw

from ledger.survey_records import AuditRecord
from ledger.values import Value, fetch

_PAGE: Final = """
SELECT audit_id, at, actor, action, target, reason, request_id, detail
  FROM audit
 WHERE tenant = ? AND audit_id < ?
"""
_ABOUT: Final = " AND (target = ? OR target >= ? AND target < ?)"
_BY: Final = " AND actor = ?"
_ORDER: Final = " ORDER BY audit_id DESC LIMIT ?"
# Behind the slash, so that what is under a resource lies between the two.
_BEHIND_SLASH: Final = chr(ord("/") + 1)


def records(
    connection: apsw.Connection,
    tenant: str,
    *,
    parent: str,
    actor: str,
    before: int,
    count_max: int,
) -> list[AuditRecord]:
    """Return a tenant's records, newest first; see ``port.Ledger.audit_records``."""
    statement = _PAGE
    asked: list[Value] = [tenant, before]
    if parent:
        statement += _ABOUT
        asked += (parent, f"{parent}/", f"{parent}{_BEHIND_SLASH}")
    if actor:
        statement += _BY
        asked.append(actor)
    asked.append(count_max)
    return [AuditRecord(*row) for row in fetch(connection, statement + _ORDER, asked)]
