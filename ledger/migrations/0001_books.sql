-- The books, first edition.
--
-- What a caller was answered lies in `invoice`, `content` and `signature`: three tables with one
-- id, because each is written at another time. `content` is written once when the number is taken,
-- `signature` once when it is signed, and only the small `invoice` row changes afterwards.

CREATE TABLE taxpayer (
    tax_number       TEXT PRIMARY KEY,
    tenant           TEXT NOT NULL,
    name             TEXT NOT NULL,
    address_phone    TEXT NOT NULL,
    bank_account     TEXT NOT NULL,
    version          INTEGER NOT NULL CHECK (version >= 1),
    age_hours_max    INTEGER CHECK (age_hours_max >= 0),
    amount_fen_max   INTEGER CHECK (amount_fen_max >= 0),
    count_max        INTEGER CHECK (count_max >= 0),
    lock_day         INTEGER CHECK (lock_day BETWEEN 0 AND 31),
    windows          TEXT NOT NULL,  -- JSON: [[period_s, call_count_max], …]
    longest_window_s REAL NOT NULL,
    batch_count_max  INTEGER NOT NULL CHECK (batch_count_max >= 1),
    registered_at    REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE taxpayer_type (
    tax_number        TEXT NOT NULL REFERENCES taxpayer,
    type              TEXT NOT NULL,
    rates_ppm         TEXT NOT NULL,  -- JSON, ascending
    invoice_limit_fen INTEGER NOT NULL,
    holding_count_max INTEGER CHECK (holding_count_max >= 0),  -- NULL: not limited
    PRIMARY KEY (tax_number, type)
) STRICT, WITHOUT ROWID;

CREATE TABLE device (
    tax_number     TEXT NOT NULL REFERENCES taxpayer,
    machine_number TEXT NOT NULL UNIQUE CHECK (length(machine_number) = 12),
    kind           TEXT NOT NULL,
    PRIMARY KEY (tax_number, machine_number)
) STRICT, WITHOUT ROWID;

CREATE TABLE device_key (
    tax_number     TEXT NOT NULL,
    machine_number TEXT NOT NULL,
    key_id         TEXT NOT NULL,
    label          TEXT NOT NULL,
    algorithm      TEXT NOT NULL,
    public_key     BLOB NOT NULL,
    certificate    BLOB NOT NULL,
    active         INTEGER NOT NULL CHECK (active IN (0, 1)),
    PRIMARY KEY (tax_number, machine_number, key_id),
    FOREIGN KEY (tax_number, machine_number) REFERENCES device
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX device_key_active ON device_key (tax_number, machine_number) WHERE active = 1;

CREATE TABLE point (
    tax_number     TEXT NOT NULL,
    point          INTEGER NOT NULL CHECK (point BETWEEN 0 AND 65535),
    machine_number TEXT NOT NULL,
    organisation   TEXT NOT NULL,
    PRIMARY KEY (tax_number, point),
    FOREIGN KEY (tax_number, machine_number) REFERENCES device
) STRICT, WITHOUT ROWID;

CREATE TABLE stock_grant (
    grant_number         INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant               TEXT NOT NULL,
    request_id           TEXT NOT NULL,
    authority_request_id TEXT NOT NULL UNIQUE,
    tax_number           TEXT NOT NULL REFERENCES taxpayer,
    type                 TEXT NOT NULL,
    count                INTEGER NOT NULL CHECK (count > 0),
    state                TEXT NOT NULL CHECK (state IN ('REQUESTED', 'GRANTED', 'CONFIRMED', 'REFUSED')),
    grant_id             TEXT NOT NULL DEFAULT '',
    code                 TEXT NOT NULL DEFAULT '',
    prefix               TEXT NOT NULL DEFAULT '',
    width                INTEGER NOT NULL DEFAULT 0 CHECK (width IN (0, 8, 10, 20)),
    first                INTEGER NOT NULL DEFAULT 0 CHECK (first >= 0),
    first_number         TEXT NOT NULL DEFAULT '',
    last_number          TEXT NOT NULL DEFAULT '',
    refusal              TEXT NOT NULL DEFAULT '',
    requested_at         REAL NOT NULL,
    confirmed_at         REAL,
    UNIQUE (tenant, request_id),
    CHECK (state NOT IN ('GRANTED', 'CONFIRMED')
           OR (grant_id <> '' AND width > 0 AND width - length(prefix) BETWEEN 1 AND 15
               AND length(first_number) = width AND length(last_number) = width
               AND first_number <= last_number))
) STRICT;

CREATE UNIQUE INDEX stock_grant_start ON stock_grant (code, width, first_number)
    WHERE state IN ('GRANTED', 'CONFIRMED');
CREATE INDEX stock_grant_open ON stock_grant (tax_number, type)
    WHERE state IN ('REQUESTED', 'GRANTED');

-- A part of a confirmed grant. `point` NULL: it lies in the taxpayer's pool, nothing taken from it.
CREATE TABLE segment (
    segment_id      INTEGER PRIMARY KEY AUTOINCREMENT,
    grant_number    INTEGER NOT NULL REFERENCES stock_grant,
    tax_number      TEXT NOT NULL,
    type            TEXT NOT NULL,
    point           INTEGER,
    code            TEXT NOT NULL,
    prefix          TEXT NOT NULL,
    width           INTEGER NOT NULL CHECK (width - length(prefix) BETWEEN 1 AND 15),
    first           INTEGER NOT NULL CHECK (first >= 0),
    count           INTEGER NOT NULL CHECK (count > 0),
    next            INTEGER NOT NULL,
    returning_count INTEGER NOT NULL DEFAULT 0 CHECK (returning_count >= 0),
    returned_count  INTEGER NOT NULL DEFAULT 0 CHECK (returned_count >= 0),
    UNIQUE (tax_number, code, prefix, width, first),
    FOREIGN KEY (tax_number, point) REFERENCES point,
    CHECK (first <= next AND next + returning_count + returned_count <= first + count),
    CHECK (point IS NOT NULL OR next = first)
) STRICT;

CREATE INDEX segment_available ON segment (tax_number, type, point, segment_id)
    WHERE next < first + count - returning_count - returned_count;
CREATE INDEX segment_of_grant ON segment (grant_number, first);

-- The one serialisation point of budget, clock and changes of a (taxpayer, device, type).
CREATE TABLE meter (
    meter_id              INTEGER PRIMARY KEY,
    tax_number            TEXT NOT NULL,
    machine_number        TEXT NOT NULL,
    type                  TEXT NOT NULL,
    unuploaded_count      INTEGER NOT NULL DEFAULT 0 CHECK (unuploaded_count >= 0),
    unuploaded_amount_fen INTEGER NOT NULL DEFAULT 0 CHECK (unuploaded_amount_fen >= 0),
    last_issue_time       INTEGER NOT NULL DEFAULT 0,
    change_number         INTEGER NOT NULL DEFAULT 0,
    UNIQUE (tax_number, machine_number, type),
    FOREIGN KEY (tax_number, machine_number) REFERENCES device
) STRICT;

-- Every id that ever had an effect. An issue id points at its invoice, whose content is what was
-- asked; any other id keeps its request and, where an answer must be repeated, its effect.
CREATE TABLE request_id (
    tenant     TEXT NOT NULL,
    request_id TEXT NOT NULL CHECK (length(request_id) BETWEEN 1 AND 120),
    action     TEXT NOT NULL,
    invoice_id INTEGER,
    request    BLOB,
    effect     TEXT,  -- JSON
    PRIMARY KEY (tenant, request_id),
    CHECK ((action = 'issue') = (invoice_id IS NOT NULL)),
    CHECK ((action = 'issue') = (request IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX request_id_admin ON request_id (action) WHERE action <> 'issue';

CREATE TABLE invoice (
    invoice_id        INTEGER PRIMARY KEY,
    tax_number        TEXT NOT NULL,
    code              TEXT NOT NULL CHECK (length(code) <= 12),
    number            TEXT NOT NULL CHECK (length(number) IN (8, 10, 20)),
    tenant            TEXT NOT NULL,
    request_id        TEXT NOT NULL,
    fingerprint       BLOB NOT NULL CHECK (length(fingerprint) = 32),
    machine_number    TEXT NOT NULL,
    point             INTEGER NOT NULL,
    type              TEXT NOT NULL,
    kind              TEXT NOT NULL CHECK (kind IN ('blue', 'red')),
    issue_time        INTEGER NOT NULL,
    net_fen           INTEGER NOT NULL,
    tax_fen           INTEGER NOT NULL,
    state             TEXT NOT NULL CHECK (state IN
        ('RESERVED', 'ISSUED', 'PARTLY_REVERSED', 'REVERSED', 'VOIDED', 'BLANK_VOIDED')),
    worker            TEXT NOT NULL,
    reserved_at       REAL NOT NULL,
    content_key_id    TEXT NOT NULL DEFAULT '',
    submission_number INTEGER  -- the submission whose result was ACCEPTED
) STRICT;

CREATE UNIQUE INDEX invoice_number ON invoice (tax_number, code, number);
CREATE INDEX invoice_reserved ON invoice (tax_number) WHERE state = 'RESERVED';

CREATE TABLE content (
    invoice_id INTEGER PRIMARY KEY,
    content    BLOB NOT NULL
) STRICT;

CREATE TABLE signature (
    invoice_id  INTEGER PRIMARY KEY,
    signature   BLOB NOT NULL CHECK (length(signature) > 0),
    key_id      TEXT NOT NULL,
    check_code  TEXT NOT NULL,
    fiscal_code TEXT NOT NULL
) STRICT;

CREATE TABLE change (
    meter_id      INTEGER NOT NULL,
    change_number INTEGER NOT NULL,
    invoice_id    INTEGER NOT NULL,
    what          TEXT NOT NULL,
    at            REAL NOT NULL,
    PRIMARY KEY (meter_id, change_number)
) STRICT, WITHOUT ROWID;

-- Events on their way to the authority; an accepted one leaves, a refused one waits for an operator.
CREATE TABLE outbox (
    event_id          INTEGER PRIMARY KEY AUTOINCREMENT,
    tax_number        TEXT NOT NULL,
    invoice_id        INTEGER NOT NULL,
    event             TEXT NOT NULL CHECK (event IN ('ISSUE', 'VOID', 'BLANK_VOID')),
    state             TEXT NOT NULL CHECK (state IN
        ('PENDING', 'PREPARED', 'SUBMITTED', 'IN_DOUBT', 'REJECTED', 'SIGNATURE_REJECTED')),
    issue_time        INTEGER NOT NULL,
    not_before        REAL NOT NULL DEFAULT 0,
    batch_count_max   INTEGER,
    attempt_count     INTEGER NOT NULL DEFAULT 0,
    submission_number INTEGER,
    rejection         TEXT NOT NULL DEFAULT '',
    UNIQUE (invoice_id, event),
    CHECK ((state = 'PENDING') = (submission_number IS NULL))
) STRICT;

CREATE INDEX outbox_queue ON outbox (tax_number, state, event_id);

CREATE TABLE submission (
    submission_number INTEGER PRIMARY KEY AUTOINCREMENT,
    submission_id     TEXT NOT NULL UNIQUE,
    tax_number        TEXT NOT NULL,
    state             TEXT NOT NULL CHECK (state IN
        ('PREPARED', 'IN_DOUBT', 'SUBMITTED', 'DONE', 'RELEASED')),
    created_at        REAL NOT NULL,
    acceptance_serial TEXT NOT NULL DEFAULT '',
    poll_at           REAL NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX submission_open ON submission (tax_number)
    WHERE state IN ('PREPARED', 'IN_DOUBT', 'SUBMITTED');

-- What an open submission was made of; gone once every item has its final word.
CREATE TABLE submission_item (
    submission_number INTEGER NOT NULL REFERENCES submission,
    event_id          INTEGER NOT NULL,
    invoice_id        INTEGER NOT NULL,
    event             TEXT NOT NULL,
    attempt_count     INTEGER NOT NULL,
    PRIMARY KEY (submission_number, event_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE permit (
    permit_id   INTEGER PRIMARY KEY AUTOINCREMENT,
    tax_number  TEXT NOT NULL,
    sent_at     REAL NOT NULL,
    answered_at REAL
) STRICT;

CREATE INDEX permit_answered ON permit (tax_number, answered_at);

CREATE TABLE audit (
    audit_id   INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant     TEXT NOT NULL,
    actor      TEXT NOT NULL,
    action     TEXT NOT NULL,
    target     TEXT NOT NULL,
    request_id TEXT NOT NULL,
    reason     TEXT NOT NULL,
    detail     TEXT NOT NULL,  -- JSON
    at         REAL NOT NULL
) STRICT;

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE (ABORT, 'an audit row is never changed'); END;
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE (ABORT, 'an audit row is never deleted'); END;

CREATE TABLE worker (
    worker  TEXT PRIMARY KEY,
    beat_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
