"""The simulator's tables, as numbered migrations.

Rows are only ever added to ``call``, ``submission``, ``item``, ``stock_return`` and ``summary``: they are the
record. Texts are never null. Instants are ns since 1970.
"""

from typing import Final

import apsw

_FIRST: Final = """
CREATE TABLE policy (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    document TEXT NOT NULL,            -- JSON of policy.Policy
    windows_since_ns INTEGER NOT NULL  -- calls before do not count
);
CREATE TABLE counter (name TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE taxpayer (
    tax_number TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    address_phone TEXT NOT NULL,
    bank_account TEXT NOT NULL,
    offline_limits TEXT NOT NULL       -- JSON of policy.OfflineLimits
) WITHOUT ROWID;
CREATE TABLE allowance (
    tax_number TEXT NOT NULL REFERENCES taxpayer,
    type TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    rates_ppm TEXT NOT NULL,           -- JSON array
    invoice_limit_fen INTEGER NOT NULL,
    holding_count_max INTEGER NOT NULL,
    granted_count INTEGER NOT NULL DEFAULT 0,
    used_count INTEGER NOT NULL DEFAULT 0,  -- numbers with an accepted event
    PRIMARY KEY (tax_number, type),
    CHECK (0 <= used_count AND used_count <= granted_count)
) WITHOUT ROWID;

CREATE TABLE device (
    machine_number TEXT PRIMARY KEY,
    request_id TEXT NOT NULL UNIQUE,
    tax_number TEXT NOT NULL REFERENCES taxpayer,
    kind TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE certificate (
    key_digest BLOB PRIMARY KEY,       -- SHA-256 of the SubjectPublicKeyInfo
    machine_number TEXT NOT NULL REFERENCES device,
    certificate BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE series (stem TEXT PRIMARY KEY, batch INTEGER NOT NULL, next INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE stock_grant (
    grant_id TEXT PRIMARY KEY,
    request_id TEXT NOT NULL UNIQUE,
    tax_number TEXT NOT NULL,
    type TEXT NOT NULL,
    wanted_count INTEGER NOT NULL,
    code TEXT NOT NULL,
    prefix TEXT NOT NULL,
    width INTEGER NOT NULL,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL CHECK (count > 0),
    confirmed INTEGER NOT NULL DEFAULT 0,
    FOREIGN KEY (tax_number, type) REFERENCES allowance
) WITHOUT ROWID;
CREATE UNIQUE INDEX stock_grant_by_number ON stock_grant (code, prefix, width, first);

CREATE TABLE submission (
    acceptance_serial TEXT PRIMARY KEY,
    tax_number TEXT NOT NULL REFERENCES taxpayer,
    submission_id TEXT NOT NULL,
    digest BLOB NOT NULL,
    done_ns INTEGER NOT NULL,
    UNIQUE (tax_number, submission_id)
) WITHOUT ROWID;
CREATE TABLE item (
    acceptance_serial TEXT NOT NULL REFERENCES submission,
    ordinal INTEGER NOT NULL,
    tax_number TEXT NOT NULL,
    event TEXT NOT NULL,
    code TEXT NOT NULL,
    number TEXT NOT NULL,
    content_digest BLOB NOT NULL,
    signature_digest BLOB NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    repeated INTEGER NOT NULL,         -- accepted before: no further effect
    PRIMARY KEY (acceptance_serial, ordinal)
) WITHOUT ROWID;
CREATE INDEX item_by_number ON item (tax_number, code, number, event, acceptance_serial, ordinal);
-- The last judge of "once": one content per number and event.
CREATE TABLE number_use (
    code TEXT NOT NULL,
    number TEXT NOT NULL,
    event TEXT NOT NULL,
    tax_number TEXT NOT NULL,
    content_digest BLOB NOT NULL,
    red INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    PRIMARY KEY (code, number, event)
) WITHOUT ROWID;

CREATE TABLE call (
    call_id INTEGER PRIMARY KEY,
    tax_number TEXT NOT NULL,
    method TEXT NOT NULL,
    arrival_ns INTEGER NOT NULL,
    admitted_ordinal INTEGER           -- the taxpayer's n-th admitted call; null when throttled
);
CREATE UNIQUE INDEX call_admitted ON call (tax_number, admitted_ordinal)
    WHERE admitted_ordinal IS NOT NULL;
"""

_RETURNS_AND_REDS: Final = """
CREATE TABLE department (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    name TEXT NOT NULL                 -- allocation.Department
);
INSERT INTO department (one, name) SELECT 1, 'tax' FROM policy;

ALTER TABLE stock_grant ADD COLUMN issue_deadline TEXT NOT NULL DEFAULT '';  -- YYYY-MM-DD or empty
-- What is returned leaves allowance.granted_count; the grant stays as it was given.
CREATE TABLE stock_return (
    return_serial TEXT PRIMARY KEY,
    request_id TEXT NOT NULL UNIQUE,
    tax_number TEXT NOT NULL,
    type TEXT NOT NULL,
    code TEXT NOT NULL,
    prefix TEXT NOT NULL,
    width INTEGER NOT NULL,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL CHECK (count > 0),
    FOREIGN KEY (tax_number, type) REFERENCES allowance
) WITHOUT ROWID;
CREATE UNIQUE INDEX stock_return_by_number ON stock_return (code, prefix, width, first);

-- Null: taken before amounts were kept. A red of such a blue is not measured against it.
ALTER TABLE number_use ADD COLUMN net_fen INTEGER;
ALTER TABLE number_use ADD COLUMN tax_fen INTEGER;
-- Which blue a red reverses; empty on anything else.
ALTER TABLE number_use ADD COLUMN original_code TEXT NOT NULL DEFAULT '';
ALTER TABLE number_use ADD COLUMN original_number TEXT NOT NULL DEFAULT '';
CREATE INDEX number_use_red ON number_use (original_code, original_number)
    WHERE original_number <> '';
"""

_MONTHS: Final = """
-- Null: taken before months were kept. Such a taxpayer's figures are not measured.
ALTER TABLE number_use ADD COLUMN machine_number TEXT;
ALTER TABLE number_use ADD COLUMN type TEXT;
ALTER TABLE number_use ADD COLUMN month TEXT;      -- YYYY-MM of the issue or void time
ALTER TABLE number_use ADD COLUMN rates TEXT;      -- JSON: [[rate_ppm, net_fen, tax_fen], …]
CREATE INDEX number_use_of_month ON number_use (tax_number, machine_number, month);
-- Null: before it was kept.
ALTER TABLE stock_grant ADD COLUMN confirmed_ns INTEGER;
ALTER TABLE stock_return ADD COLUMN returned_ns INTEGER;

CREATE TABLE summary (
    machine_number TEXT NOT NULL REFERENCES device,
    period TEXT NOT NULL,              -- YYYY-MM
    tax_number TEXT NOT NULL,
    request_id TEXT NOT NULL UNIQUE,
    summary_serial TEXT NOT NULL UNIQUE,
    content_digest BLOB NOT NULL,
    closings TEXT NOT NULL,            -- JSON: numbers held at its end, by type
    PRIMARY KEY (machine_number, period)
) WITHOUT ROWID;
"""

MIGRATIONS: Final = (_FIRST, _RETURNS_AND_REDS, _MONTHS)


class SchemaNewer(Exception):
    """The store was written by a newer simulator."""


def migrate(connection: apsw.Connection) -> None:
    """Bring the schema up to date, one transaction a migration.

    Raises:
        SchemaNewer: It is newer than this program.
    """
    version = int(connection.execute("PRAGMA user_version").get)
    if version > len(MIGRATIONS):
        raise SchemaNewer(f"schema {version}, this program knows {len(MIGRATIONS)}")
    for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(statements)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
