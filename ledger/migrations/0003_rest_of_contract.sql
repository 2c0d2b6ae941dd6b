-- Reds, voids, returns, lists and watches.

-- A keyed digest, so that invoices are found by buyer and the file does not tell who bought.
ALTER TABLE invoice ADD COLUMN buyer_digest BLOB;

CREATE INDEX invoice_by_type ON invoice (tax_number, type, issue_time);
CREATE INDEX invoice_by_point ON invoice (tax_number, point, type, issue_time);
CREATE INDEX invoice_by_buyer ON invoice (tax_number, buyer_digest, issue_time)
    WHERE buyer_digest IS NOT NULL;
CREATE INDEX invoice_by_state ON invoice (tax_number, state, issue_time)
    WHERE state NOT IN ('RESERVED', 'ISSUED');

-- What reds have taken of a blue. A red is live from the moment it has its number until it is
-- voided; live reds decide what remains, issued ones what the blue's state says.
CREATE TABLE reversal (
    invoice_id     INTEGER PRIMARY KEY,
    live_count     INTEGER NOT NULL CHECK (live_count >= 0),
    live_net_fen   INTEGER NOT NULL CHECK (live_net_fen >= 0),
    live_tax_fen   INTEGER NOT NULL CHECK (live_tax_fen >= 0),
    issued_count   INTEGER NOT NULL DEFAULT 0 CHECK (issued_count BETWEEN 0 AND live_count),
    issued_net_fen INTEGER NOT NULL DEFAULT 0 CHECK (issued_net_fen BETWEEN 0 AND live_net_fen),
    issued_tax_fen INTEGER NOT NULL DEFAULT 0 CHECK (issued_tax_fen BETWEEN 0 AND live_tax_fen)
) STRICT;

CREATE TABLE red (
    invoice_id        INTEGER PRIMARY KEY,
    original_id       INTEGER NOT NULL,
    tax_number        TEXT NOT NULL,
    red_notice_number TEXT NOT NULL,
    live              INTEGER NOT NULL DEFAULT 1 CHECK (live IN (0, 1))
) STRICT;

CREATE INDEX red_of_original ON red (original_id);
CREATE UNIQUE INDEX red_notice ON red (tax_number, red_notice_number)
    WHERE red_notice_number <> '' AND live = 1;

-- A void or blank void: decided when its row is written, effective once it is signed.
CREATE TABLE statement (
    statement_id      INTEGER PRIMARY KEY,
    tenant            TEXT NOT NULL,
    request_id        TEXT NOT NULL,
    kind              TEXT NOT NULL CHECK (kind IN ('VOID', 'BLANK_VOID')),
    invoice_id        INTEGER NOT NULL UNIQUE,
    tax_number        TEXT NOT NULL,
    machine_number    TEXT NOT NULL,
    statement_time    INTEGER NOT NULL,
    content           BLOB NOT NULL,
    state             TEXT NOT NULL CHECK (state IN ('RESERVED', 'SETTLED')),
    worker            TEXT NOT NULL,
    reserved_at       REAL NOT NULL,
    signature         BLOB,
    key_id            TEXT NOT NULL DEFAULT '',
    submission_number INTEGER,  -- the submission whose result was ACCEPTED
    UNIQUE (tenant, request_id),
    CHECK ((state = 'SETTLED') = (signature IS NOT NULL AND key_id <> ''))
) STRICT;

CREATE INDEX statement_reserved ON statement (tax_number) WHERE state = 'RESERVED';

-- The blue invoice whose events this one must keep in step with; NULL for the issue of a blue.
-- (A check comes into a table only with a column.)
ALTER TABLE outbox ADD COLUMN family_id INTEGER CHECK (batch_count_max >= 1);

CREATE INDEX outbox_family ON outbox (family_id, event, event_id) WHERE family_id IS NOT NULL;

-- What the authority has accepted of a submission, summed up (ledger/sums.py); NULL: before there
-- were such sums.
ALTER TABLE submission ADD COLUMN accepted_sum INTEGER DEFAULT 0;

UPDATE submission SET accepted_sum = NULL;

-- SHA-256 of what was asked; NULL: before it was kept, and of what the authority answered.
ALTER TABLE audit ADD COLUMN request_digest BLOB;

-- Numbers on their way back to the authority.
CREATE TABLE stock_return (
    return_number        INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant               TEXT NOT NULL,
    request_id           TEXT NOT NULL,
    authority_request_id TEXT NOT NULL UNIQUE,
    tax_number           TEXT NOT NULL REFERENCES taxpayer,
    type                 TEXT NOT NULL,
    segment_id           INTEGER NOT NULL,  -- may be gone once it was refused
    first                INTEGER NOT NULL CHECK (first >= 0),
    count                INTEGER NOT NULL CHECK (count > 0),
    state                TEXT NOT NULL CHECK (state IN ('REQUESTED', 'RETURNED', 'REFUSED')),
    return_serial        TEXT NOT NULL DEFAULT '',
    refusal              TEXT NOT NULL DEFAULT '',
    requested_at         REAL NOT NULL,
    answered_at          REAL,
    UNIQUE (tenant, request_id)
) STRICT;

CREATE UNIQUE INDEX stock_return_open ON stock_return (segment_id) WHERE state = 'REQUESTED';

ALTER TABLE stock_grant ADD COLUMN issue_deadline TEXT NOT NULL DEFAULT '';

-- What an operator has decided about a taxpayer's uploads; no row: nothing.
CREATE TABLE upload_control (
    tax_number   TEXT PRIMARY KEY REFERENCES taxpayer,
    paused       INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
    paused_until REAL,
    pause_reason TEXT NOT NULL DEFAULT '',
    windows      TEXT  -- JSON: [[period_s, call_count_max], …]; NULL: the authority's
) STRICT, WITHOUT ROWID;

-- Keys of this ledger's own: they make tokens and digests that nobody else can make.
CREATE TABLE secret (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL CHECK (length(value) = 32)
) STRICT, WITHOUT ROWID;

INSERT INTO secret (name, value)
VALUES ('resume-token', randomblob(32)), ('buyer-digest', randomblob(32));
