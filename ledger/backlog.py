"""What an operator reads of the outbox, and what a caller reads of an invoice's upload."""

from heapq import merge
from itertools import islice
from operator import attrgetter

import apsw

from invoice.errors import TaxpayerNotFound
from invoice.lifecycle import UploadState
from ledger.meters import meters_of
from ledger.records import (
    BacklogRecord,
    Entry,
    InvoiceRecord,
    OriginalRef,
    UnuploadedRecord,
)
from ledger.statements import statement_of
from ledger.values import Row, fetch, fetch_one

# Stored but not yet sent looks no different from outside.
_SHOWN = {"PREPARED": UploadState.PENDING}
_STATES = ("PENDING", "PREPARED", "SUBMITTED", "IN_DOUBT", "REJECTED", "SIGNATURE_REJECTED")

_OWNED = "SELECT 1 FROM taxpayer WHERE tenant = ? AND tax_number = ?"
_COUNTS = "SELECT state, count(*) FROM outbox WHERE tax_number = ? GROUP BY state"
_OLDEST = """
SELECT min(issue_time)
  FROM outbox
 WHERE tax_number = ? AND state IN ('PENDING', 'PREPARED', 'SUBMITTED', 'IN_DOUBT')
"""
_UNUPLOADED = """
SELECT o.event_id, o.event, o.tax_number, i.code, i.number, i.type, o.issue_time, i.net_fen,
       o.state, o.rejection, o.attempt_count
  FROM outbox AS o
  JOIN taxpayer AS t ON t.tax_number = o.tax_number
  JOIN invoice AS i ON i.invoice_id = o.invoice_id
 WHERE o.tax_number = ? AND o.state = ? AND o.event_id > ? AND t.tenant = ?
 ORDER BY o.event_id
 LIMIT ?
"""
# The last event: the statement's once it is signed, else the issue.
_UPLOAD = """
SELECT i.invoice_id, s.kind, iif(s.kind IS NULL, i.submission_number, s.submission_number),
       o.state, o.rejection,
       (SELECT acceptance_serial
          FROM submission
         WHERE submission_number = ifnull(o.submission_number,
               iif(s.kind IS NULL, i.submission_number, s.submission_number))),
       k.certificate, k.algorithm, l.certificate, l.algorithm,
       r.issued_net_fen, r.issued_tax_fen, b.code, b.number
  FROM invoice AS i
  LEFT JOIN statement AS s ON s.invoice_id = i.invoice_id AND s.state = 'SETTLED'
  LEFT JOIN outbox AS o ON o.invoice_id = i.invoice_id AND o.event = ifnull(s.kind, 'ISSUE')
  LEFT JOIN device_key AS k
    ON k.tax_number = i.tax_number AND k.machine_number = i.machine_number AND k.key_id = ?
  LEFT JOIN device_key AS l
    ON l.tax_number = s.tax_number AND l.machine_number = s.machine_number AND l.key_id = s.key_id
  LEFT JOIN reversal AS r ON r.invoice_id = i.invoice_id
  LEFT JOIN red AS d ON d.invoice_id = i.invoice_id
  LEFT JOIN invoice AS b ON b.invoice_id = d.original_id
 WHERE i.tax_number = ? AND i.code = ? AND i.number = ?
"""


def backlog(connection: apsw.Connection, tenant: str, tax_number: str) -> BacklogRecord:
    """Return where a taxpayer's uploads stand; raise :class:`TaxpayerNotFound` for another's."""
    if fetch_one(connection, _OWNED, (tenant, tax_number)) is None:
        raise TaxpayerNotFound(tax_number)
    counts = dict.fromkeys(_STATES, 0)
    counts.update(fetch(connection, _COUNTS, (tax_number,)))
    return BacklogRecord(
        tax_number=tax_number,
        pending_count=counts["PENDING"] + counts["PREPARED"],
        submitted_count=counts["SUBMITTED"],
        in_doubt_count=counts["IN_DOUBT"],
        rejected_count=counts["REJECTED"] + counts["SIGNATURE_REJECTED"],
        oldest_issue_time=fetch_one(connection, _OLDEST, (tax_number,)),
        meters=meters_of(connection, tax_number),
    )


def unuploaded(
    connection: apsw.Connection, tenant: str, tax_number: str, after: int, count_max: int
) -> list[UnuploadedRecord]:
    """Return events without acceptance by id, from the first one after ``after``."""
    # The index gives each state in order; merging them costs no more than one page.
    pages = (
        map(
            _unuploaded,
            fetch(connection, _UNUPLOADED, (tax_number, state, after, tenant, count_max)),
        )
        for state in _STATES
    )
    return list(islice(merge(*pages, key=attrgetter("event_id")), count_max))


def with_upload(connection: apsw.Connection, entry: Entry) -> InvoiceRecord:
    """Return an entry with its upload, its certificate, and what has become of it since."""
    values = (entry.key_id, entry.tax_number, entry.code, entry.number)
    row = fetch(connection, _UPLOAD, values)[0]
    invoice_id, statement_kind, accepting, state, rejection, serial, *rest = row
    certificate, algorithm, statement_certificate, statement_algorithm, *rest = rest
    reversed_net_fen, reversed_tax_fen, code, number = rest
    return InvoiceRecord(
        entry=entry,
        upload_state=_upload_state(accepting, state),
        rejection=rejection or "",
        acceptance_serial=serial or "",
        certificate=certificate or b"",
        algorithm=algorithm or "",
        statement=statement_of(connection, invoice_id) if statement_kind else None,
        statement_certificate=statement_certificate or b"",
        statement_algorithm=statement_algorithm or "",
        reversed_net_fen=reversed_net_fen or 0,
        reversed_tax_fen=reversed_tax_fen or 0,
        original=None if number is None else OriginalRef(code=code, number=number),
    )


def _upload_state(accepting_submission: int | None, state: str | None) -> UploadState:
    if state is not None:
        return _SHOWN.get(state) or UploadState(state)
    return UploadState.PENDING if accepting_submission is None else UploadState.ACCEPTED


def _unuploaded(row: Row) -> UnuploadedRecord:
    return UnuploadedRecord(
        event_id=row[0],
        event=row[1],
        tax_number=row[2],
        code=row[3],
        number=row[4],
        type=row[5],
        issue_time=row[6],
        net_fen=row[7],
        state=_SHOWN.get(row[8]) or UploadState(row[8]),
        rejection=row[9],
        attempt_count=row[10],
    )
