"""Deciding a void (作废): which invoice may still be voided, and at what time."""

from typing import NamedTuple

import apsw

from invoice.errors import InvoiceNotFound, InvoiceNotVoidable
from invoice.statements import StatementKind, month, void
from ledger.bindings import first_effect
from ledger.meters import behind_s_max, clock_fault
from ledger.records import Act, Binding, StatementRecord
from ledger.rows import invoice_name
from ledger.statements import bound_statement, reserve
from ledger.values import fetch

_INVOICE = """
SELECT i.invoice_id, i.machine_number, i.point, i.type, i.state, i.issue_time, c.content,
       max(m.last_issue_time, m.issue_time_min),
       EXISTS (SELECT 1 FROM statement AS s WHERE s.invoice_id = i.invoice_id),
       ifnull((SELECT live_count FROM reversal AS r WHERE r.invoice_id = i.invoice_id), 0),
       m.issue_time_min
  FROM invoice AS i
  JOIN meter AS m
    ON m.tax_number = i.tax_number AND m.machine_number = i.machine_number AND m.type = i.type
  LEFT JOIN content AS c ON c.invoice_id = i.invoice_id
 WHERE i.tenant = ? AND i.tax_number = ? AND i.code = ? AND i.number = ?
"""


class _Invoice(NamedTuple):
    """A row of ``_INVOICE``."""

    invoice_id: int
    machine_number: str
    point: int
    type: str
    state: str
    issue_time: int
    content: bytes
    last_issue_time: int
    stated: int
    live_red_count: int
    closed_until: int


def reserve_void(
    connection: apsw.Connection,
    *,
    tax_number: str,
    code: str,
    number: str,
    reason: str,
    binding: Binding,
    act: Act,
    worker: str,
    now: float,
    clock_trusted: bool,
) -> tuple[StatementRecord, bool]:
    """Decide a void; see ``port.Ledger.reserve_void``."""
    tenant, request_id = binding.tenant, binding.request_id
    if first_effect(connection, binding) is not None:
        return bound_statement(connection, binding), True
    rows = fetch(connection, _INVOICE, (tenant, tax_number, code, number))
    if not rows:
        name = invoice_name(tax_number, code, number)
        raise InvoiceNotFound("no such invoice", name=name)
    invoice = _Invoice(*rows[0])
    fault = clock_fault(invoice.last_issue_time, now, behind_s_max(trusted=clock_trusted))
    if fault is not None:
        raise fault
    void_time = max(int(now), invoice.last_issue_time, invoice.issue_time)
    cause = _cause(invoice, void_time)
    if cause:
        raise InvoiceNotVoidable(code, number, cause=cause)
    content = void(
        invoice.content,
        device=invoice.machine_number,
        code=code,
        number=number,
        void_time=void_time,
        taxpayer=tax_number,
        point=invoice.point,
        type=invoice.type,
        reason=reason,
    )
    statement = StatementRecord(
        tenant=tenant,
        request_id=request_id,
        kind=StatementKind.VOID,
        tax_number=tax_number,
        machine_number=invoice.machine_number,
        point=invoice.point,
        type=invoice.type,
        code=code,
        number=number,
        statement_time=void_time,
        content=content,
        state="RESERVED",
        worker=worker,
        reserved_at=now,
    )
    reserve(connection, statement, invoice.invoice_id, binding, act)
    return statement, False


def _cause(invoice: _Invoice, void_time: int) -> str:
    """Return why it cannot be voided, ``""`` when it can."""
    if invoice.state in ("RESERVED", "VOIDED", "BLANK_VOIDED"):
        return invoice.state
    if invoice.stated:
        return "VOIDING"
    if invoice.live_red_count:
        return "REVERSED"
    if invoice.issue_time < invoice.closed_until:
        return "PERIOD_CLOSED"
    return "" if month(invoice.issue_time) == month(void_time) else "OTHER_PERIOD"
