-- Months: what was issued in each, their summaries, and when a device's key became the one that signs.

-- Running totals, so that a summary reads a handful of rows and not a month of invoices. `rate_ppm` -1:
-- whole invoices; else those with a line of that rate, and what those lines add up to. The month is that
-- of the issue time, of a blank void that of its own.
CREATE TABLE month_total (
    tax_number     TEXT NOT NULL,
    machine_number TEXT NOT NULL,
    type           TEXT NOT NULL,
    period         TEXT NOT NULL,  -- YYYY-MM in Asia/Shanghai
    what           TEXT NOT NULL CHECK (what IN
        ('BLUE', 'BLUE_VOID', 'RED', 'RED_VOID', 'BLANK_VOID')),
    rate_ppm       INTEGER NOT NULL CHECK (rate_ppm >= -1),
    invoice_count  INTEGER NOT NULL,
    net_fen        INTEGER NOT NULL,
    tax_fen        INTEGER NOT NULL,
    PRIMARY KEY (tax_number, machine_number, type, period, what, rate_ppm),
    FOREIGN KEY (tax_number, machine_number) REFERENCES device
) STRICT, WITHOUT ROWID;

WITH issued AS (
    SELECT invoice_id, tax_number, machine_number, type, net_fen, tax_fen, upper(kind) AS what, state,
           strftime('%Y-%m', issue_time, 'unixepoch', '+8 hours') AS period
      FROM invoice
     WHERE state <> 'BLANK_VOIDED'
), grouped AS (
    SELECT invoice_id, tax_number, machine_number, type, period, what, net_fen, tax_fen FROM issued
    UNION ALL
    SELECT invoice_id, tax_number, machine_number, type, period, what || '_VOID', net_fen, tax_fen
      FROM issued
     WHERE state = 'VOIDED'
), line AS (
    SELECT c.invoice_id, l.value ->> '$.rate_ppm' AS rate_ppm,
           sum((l.value ->> '$.amount_fen') - iif(ifnull(l.value ->> '$.tax_inclusive', 0),
                                                  l.value ->> '$.tax_fen', 0)) AS net_fen,
           sum(l.value ->> '$.tax_fen') AS tax_fen
      FROM content AS c, json_each(CAST(c.content AS TEXT), '$.lines') AS l
     GROUP BY c.invoice_id, rate_ppm
)
INSERT INTO month_total (tax_number, machine_number, type, period, what, rate_ppm, invoice_count,
    net_fen, tax_fen)
SELECT tax_number, machine_number, type, period, what, -1, count(*), sum(net_fen), sum(tax_fen)
  FROM grouped
 GROUP BY tax_number, machine_number, type, period, what
UNION ALL
SELECT g.tax_number, g.machine_number, g.type, g.period, g.what, l.rate_ppm, count(*),
       sum(l.net_fen), sum(l.tax_fen)
  FROM grouped AS g
  JOIN line AS l ON l.invoice_id = g.invoice_id
 GROUP BY g.tax_number, g.machine_number, g.type, g.period, g.what, l.rate_ppm
UNION ALL
SELECT s.tax_number, s.machine_number, i.type,
       strftime('%Y-%m', s.statement_time, 'unixepoch', '+8 hours') AS period, 'BLANK_VOID', -1,
       count(*), 0, 0
  FROM statement AS s
  JOIN invoice AS i ON i.invoice_id = s.invoice_id
 WHERE s.kind = 'BLANK_VOID'
 GROUP BY s.tax_number, s.machine_number, i.type, period;

-- A month's summary (抄报): CLOSING once its figures are decided, SUMMARISED once the authority has them
-- (清卡). The signature comes in between.
CREATE TABLE period (
    period_number        INTEGER PRIMARY KEY AUTOINCREMENT,
    tax_number           TEXT NOT NULL,
    machine_number       TEXT NOT NULL,
    period               TEXT NOT NULL,
    state                TEXT NOT NULL CHECK (state IN ('CLOSING', 'SUMMARISED')),
    tenant               TEXT NOT NULL,
    request_id           TEXT NOT NULL,
    authority_request_id TEXT NOT NULL UNIQUE,
    content              BLOB NOT NULL,
    signature            BLOB,
    key_id               TEXT NOT NULL DEFAULT '',
    worker               TEXT NOT NULL,
    closing_at           REAL NOT NULL,
    summarised_at        REAL,
    summary_serial       TEXT NOT NULL DEFAULT '',
    UNIQUE (tax_number, machine_number, period),
    UNIQUE (tenant, request_id),
    FOREIGN KEY (tax_number, machine_number) REFERENCES device,
    CHECK ((signature IS NULL) = (key_id = '')),
    CHECK ((state = 'SUMMARISED') = (summarised_at IS NOT NULL AND summary_serial <> '')),
    CHECK (state = 'CLOSING' OR signature IS NOT NULL)
) STRICT;

CREATE INDEX period_closing ON period (period_number) WHERE state = 'CLOSING';

-- NULL: before it was noted.
ALTER TABLE device_key ADD COLUMN activated_at REAL;

-- What a summary looks up.
CREATE INDEX meter_open_period ON meter (open_period, tax_number, machine_number);
CREATE INDEX stock_grant_confirmed ON stock_grant (tax_number, type) WHERE state = 'CONFIRMED';
CREATE INDEX stock_return_returned ON stock_return (tax_number, type) WHERE state = 'RETURNED';
