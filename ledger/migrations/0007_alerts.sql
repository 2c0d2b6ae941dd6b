-- Alerts: one row for each trouble from its beginning to its end. Nothing is deleted.

CREATE TABLE alert (
    alert_id           INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant             TEXT NOT NULL,
    kind               TEXT NOT NULL,
    tax_number         TEXT NOT NULL,  -- '': the whole gateway
    machine_number     TEXT NOT NULL,
    point              INTEGER NOT NULL CHECK (point BETWEEN -1 AND 65535),  -- -1: none
    type               TEXT NOT NULL,
    state              TEXT NOT NULL CHECK (state IN ('RAISED', 'ACKNOWLEDGED', 'RESOLVED')),
    severity           TEXT NOT NULL CHECK (severity IN ('WARNING', 'SERIOUS', 'CRITICAL')),
    message            TEXT NOT NULL,
    message_zh         TEXT NOT NULL,
    facts              TEXT NOT NULL,  -- JSON, names to text
    limit_at           REAL,
    drained_at         REAL,
    raised_at          REAL NOT NULL,
    updated_at         REAL NOT NULL,
    acknowledged_at    REAL,
    acknowledged_by    TEXT NOT NULL DEFAULT '',
    acknowledge_reason TEXT NOT NULL DEFAULT '',
    resolved_at        REAL,
    CHECK ((state = 'RESOLVED') = (resolved_at IS NOT NULL)),
    CHECK ((acknowledged_at IS NULL) = (acknowledged_by = '')),
    CHECK (state <> 'ACKNOWLEDGED' OR acknowledged_at IS NOT NULL)
) STRICT;

-- One at a place at a time; and the same beginning is stored once, however often it is tried.
CREATE UNIQUE INDEX alert_open ON alert (tenant, kind, tax_number, machine_number, point, type)
    WHERE state <> 'RESOLVED';
CREATE UNIQUE INDEX alert_once
    ON alert (tenant, kind, tax_number, machine_number, point, type, raised_at);
CREATE INDEX alert_of ON alert (tax_number, alert_id);

CREATE TABLE alert_change (
    change_number INTEGER PRIMARY KEY AUTOINCREMENT,
    alert_id      INTEGER NOT NULL REFERENCES alert,
    tenant        TEXT NOT NULL,
    tax_number    TEXT NOT NULL,
    what          TEXT NOT NULL CHECK (what IN ('RAISED', 'UPDATED', 'ACKNOWLEDGED', 'RESOLVED')),
    at            REAL NOT NULL,
    snapshot      TEXT NOT NULL,  -- JSON: the alert as the change left it
    UNIQUE (alert_id, what, at)
) STRICT;

CREATE TABLE alert_threshold (
    tax_number            TEXT PRIMARY KEY REFERENCES taxpayer,
    unuploaded_count      INTEGER CHECK (unuploaded_count > 0),
    unuploaded_amount_fen INTEGER CHECK (unuploaded_amount_fen > 0),
    unuploaded_age_s      INTEGER CHECK (unuploaded_age_s > 0),
    certificate_days      INTEGER CHECK (certificate_days > 0),
    period_days           INTEGER CHECK (period_days > 0)
) STRICT, WITHOUT ROWID;

-- Changes on their way to a webhook, each target's in order.
CREATE TABLE webhook_delivery (
    delivery_id   INTEGER PRIMARY KEY AUTOINCREMENT,
    target        TEXT NOT NULL,
    change_number INTEGER NOT NULL REFERENCES alert_change,
    state         TEXT NOT NULL CHECK (state IN ('PENDING', 'DELIVERED', 'GIVEN_UP')),
    created_at    REAL NOT NULL,
    attempt_count INTEGER NOT NULL DEFAULT 0,
    next_at       REAL NOT NULL,
    last_error    TEXT NOT NULL DEFAULT '',
    ended_at      REAL,
    UNIQUE (target, change_number),
    CHECK ((state = 'PENDING') = (ended_at IS NULL))
) STRICT;

CREATE INDEX webhook_delivery_pending ON webhook_delivery (target, delivery_id)
    WHERE state = 'PENDING';
