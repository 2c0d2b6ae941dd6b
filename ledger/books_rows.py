"""The rows a check of the books reads: each invoice with everything that hangs on it."""

from typing import NamedTuple

import apsw

from ledger.books_tally import found
from ledger.records import Finding
from ledger.values import Row, fetch

_PAGE_ROWS = 1_000
_ROWS = """
SELECT i.invoice_id, i.tax_number, i.code, i.number, i.tenant, i.request_id, i.fingerprint,
       i.machine_number, i.point, i.type, i.kind, i.issue_time, i.net_fen, i.tax_fen, i.state,
       c.content, s.signature, s.key_id, s.check_code, s.fiscal_code, r.action, r.invoice_id,
       i.submission_number,
       (SELECT count(*) FROM outbox AS o WHERE o.invoice_id = i.invoice_id AND o.event = 'ISSUE'),
       m.tax_number, m.state, m.accepted_sum, i.buyer_digest, t.kind, t.state, t.request_id, t.submission_number,
       v.issued_count, v.issued_net_fen, d.tax_number, d.red_notice_number, d.live, d.original_id,
       b.tax_number, b.type, b.kind, b.code, b.number
  FROM invoice AS i
  LEFT JOIN content AS c ON c.invoice_id = i.invoice_id
  LEFT JOIN signature AS s ON s.invoice_id = i.invoice_id
  LEFT JOIN request_id AS r ON r.tenant = i.tenant AND r.request_id = i.request_id
  LEFT JOIN statement AS t ON t.invoice_id = i.invoice_id
  LEFT JOIN reversal AS v ON v.invoice_id = i.invoice_id
  LEFT JOIN red AS d ON d.invoice_id = i.invoice_id
  LEFT JOIN invoice AS b ON b.invoice_id = d.original_id
  LEFT JOIN submission AS m ON m.submission_number = i.submission_number
"""
_PAGE = _ROWS + f"WHERE i.invoice_id > ? ORDER BY i.invoice_id LIMIT {_PAGE_ROWS}"
_ONE = _ROWS + "WHERE i.invoice_id = ?"
_IDS = f"SELECT invoice_id FROM invoice WHERE invoice_id > ? ORDER BY invoice_id LIMIT {_PAGE_ROWS}"  # noqa: S608 - a constant


class Stored(NamedTuple):
    """A row of ``_ROWS``. ``red_…`` are of its row in ``red``, ``blue_…`` of what that names."""

    invoice_id: int
    tax_number: str
    code: str
    number: str
    tenant: str
    request_id: str
    fingerprint: bytes
    machine_number: str
    point: int
    type: str
    kind: str
    issue_time: int
    net_fen: int
    tax_fen: int
    state: str
    content: bytes | None
    signature: bytes | None
    key_id: str | None
    check_code: str | None
    fiscal_code: str | None
    action: str | None
    bound_id: int | None
    submission_number: int | None
    event_count: int
    submission_tax_number: str | None
    submission_state: str | None
    accepted_sum: int | None
    buyer_digest: bytes | None
    statement_kind: str | None
    statement_state: str | None
    statement_request_id: str | None
    statement_submission_number: int | None
    reversed_count: int | None
    reversed_net_fen: int | None
    red_tax_number: str | None
    red_notice_number: str | None
    red_live: int | None
    original_id: int | None
    blue_tax_number: str | None
    blue_type: str | None
    blue_kind: str | None
    blue_code: str | None
    blue_number: str | None

    @property
    def facts(self) -> tuple[object, ...]:
        """What the content must say, in the order in which ``content.Facts`` begins."""
        return (
            self.tax_number,
            self.point,
            self.machine_number,
            self.kind,
            self.type,
            self.code,
            self.number,
            self.issue_time,
            self.net_fen,
            self.tax_fen,
        )

    @property
    def never_taken(self) -> bool:
        """Tell whether its number was voided before anybody asked for it."""
        return self.state == "BLANK_VOIDED" and self.statement_request_id == self.request_id

    @property
    def void_accepted(self) -> bool:
        """Tell whether the authority has accepted its void."""
        return self.statement_kind == "VOID" and self.statement_submission_number is not None


def page(connection: apsw.Connection, after: int) -> tuple[list[Row], list[Finding]]:
    """Return the next rows, and a finding for each that is not even readable text."""
    try:
        return fetch(connection, _PAGE, (after,)), []
    except UnicodeDecodeError:
        return _row_by_row(connection, after)


def _row_by_row(connection: apsw.Connection, after: int) -> tuple[list[Row], list[Finding]]:
    rows, findings = [], []
    for (invoice_id,) in fetch(connection, _IDS, (after,)):
        try:
            rows += fetch(connection, _ONE, (invoice_id,))
        except UnicodeDecodeError as error:
            findings.append(found("I5_CONTENT", f"rows/{invoice_id}", f"no readable text: {error}"))
    return rows, findings
