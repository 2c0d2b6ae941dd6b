"""A ledger of very many invoices, made by the database itself: for what depends on size only.

    path = await big_ledger.make(folder, rows=1_000_000)

Signatures, fingerprints and contents stand for real ones, and its books do not balance. Two sellers,
of whom the first has nine in ten; three types at ten points; a hundred invoices in each minute.
"""

from pathlib import Path

import apsw

from ledger.secrets import BUYER_DIGEST, buyer_digest, secret
from ledger.sqlite import SqliteLedger
from tests.ledger import building

TYPES = ("007", "026", "028")
CODES = {type_: f"0110026000{type_[1:]}" for type_ in TYPES}
POINT_COUNT = 10
FIRST_TIME = 1_800_000_000
BUYERS = tuple(f"9131011500000{at:04}X" for at in range(1_000))
# Events without a final answer: the newest ones wait, some old ones were refused.
PENDING_COUNT = 1_000
REJECTED_COUNT = 50

_BUYER = "INSERT INTO temp.buyer (n, buyer_digest) VALUES (?, ?)"
_STEPS = (
    """
INSERT INTO stock_grant (tenant, request_id, authority_request_id, tax_number, type, count, state,
    grant_id, code, prefix, width, first, first_number, last_number, requested_at)
WITH RECURSIVE n (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM n WHERE n < :rows / 1000)
SELECT 'default', 'g-' || seller || type || n, 'a-' || seller || type || n,
       iif(seller, :one, :other), type, 1000, 'CONFIRMED', 'grant',
       '011002600' || (1 - seller) || substr(type, 2), '', 8, n * 1000,
       printf('%08d', n * 1000), printf('%08d', n * 1000 + 999), 0
  FROM n
  JOIN (SELECT 0 AS seller UNION SELECT 1)
  JOIN (SELECT '007' AS type UNION SELECT '026' UNION SELECT '028')
""",
    """
INSERT INTO invoice (invoice_id, tax_number, code, number, tenant, request_id, fingerprint,
    machine_number, point, type, kind, issue_time, net_fen, tax_fen, state, worker, reserved_at,
    submission_number, buyer_digest)
WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < :rows),
    kind (n, seller, type) AS (
        SELECT n, n % 10 > 0, substr('007026028', 1 + 3 * (n % 3), 3) FROM n)
SELECT k.n, iif(k.seller, :one, :other), '011002600' || (1 - k.seller) || substr(k.type, 2),
       printf('%08d', k.n), 'default', 'r-' || k.n, zeroblob(32),
       iif(k.seller, '661000000001', '661000000002'), k.n / 11 % 10, k.type,
       'blue', 1800000000 + k.n / 100 * 60, 10000, 900,
       CASE WHEN k.n % 1009 = 0 THEN 'VOIDED'
            WHEN k.n % 997 = 0 THEN 'PARTLY_REVERSED' ELSE 'ISSUED' END,
       'w', 1800000000.0, iif(k.n > :rows - :pending, NULL, 1), b.buyer_digest
  FROM kind AS k
  JOIN temp.buyer AS b ON b.n = k.n * 31 % 1000
""",
    "INSERT INTO content SELECT invoice_id, zeroblob(200) FROM invoice",
    """
INSERT INTO signature
SELECT invoice_id, zeroblob(64), 'key-1', printf('%020d', invoice_id), '' FROM invoice
""",
    """
INSERT INTO change
SELECT m.meter_id, row_number() OVER (PARTITION BY m.meter_id ORDER BY i.invoice_id),
       i.invoice_id, 'ISSUED', i.issue_time
  FROM invoice AS i
  JOIN meter AS m
    ON m.tax_number = i.tax_number AND m.machine_number = i.machine_number AND m.type = i.type
""",
    """
UPDATE meter SET change_number =
    (SELECT ifnull(max(c.change_number), 0) FROM change AS c WHERE c.meter_id = meter.meter_id)
""",
    """
INSERT INTO submission (submission_number, submission_id, tax_number, state, created_at)
VALUES (1, 's-1', :one, 'DONE', 0)
""",
    """
INSERT INTO outbox (tax_number, invoice_id, event, state, issue_time, submission_number)
SELECT tax_number, invoice_id, 'ISSUE', iif(submission_number IS NULL, 'PENDING', 'REJECTED'),
       issue_time, submission_number
  FROM invoice
 WHERE invoice_id > :rows - :pending OR invoice_id % (:rows / :rejected) = 1
""",
)


async def make(folder: Path, *, rows: int) -> Path:
    """Make a ledger of ``rows`` invoices; the answer is its file."""
    path = folder / str(rows) / "ledger.db"
    ledger = SqliteLedger(path, verify=building.verify)
    await ledger.start(building.WORKER, building.NOW)
    for tax_number in (building.TAX_NUMBER, building.OTHER_TAX_NUMBER):
        await building.register(ledger, tax_number, types=TYPES)
    await ledger.close()
    connection = apsw.Connection(str(path))
    try:
        _fill(connection, rows)
    finally:
        connection.close()
    return path


def _fill(connection: apsw.Connection, rows: int) -> None:
    connection.pragma("synchronous", "off")
    connection.execute("CREATE TEMP TABLE buyer (n INTEGER PRIMARY KEY, buyer_digest BLOB)")
    key = secret(connection, BUYER_DIGEST)
    # Every tenth is a private buyer.
    known = ((n, buyer_digest(key, it) if n % 10 else None) for n, it in enumerate(BUYERS))
    connection.executemany(_BUYER, known)
    values = {
        "rows": rows,
        "one": building.TAX_NUMBER,
        "other": building.OTHER_TAX_NUMBER,
        "pending": PENDING_COUNT,
        "rejected": REJECTED_COUNT,
    }
    connection.execute("BEGIN")
    for step in _STEPS:
        connection.execute(step, values)
    connection.execute("COMMIT")
