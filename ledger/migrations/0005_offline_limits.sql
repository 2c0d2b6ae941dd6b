-- What an offline limit is decided by, on the meter, so that a group reads nothing else for it.

-- Issue time of the oldest un-uploaded invoice: RESERVED, or its ISSUE event unanswered. 0: none.
ALTER TABLE meter ADD COLUMN oldest_issue_time INTEGER NOT NULL DEFAULT 0;
-- The first month that is not summarised, `YYYY-MM` in Asia/Shanghai, and when the one before it was (the
-- registration's time when there is none). The same on every meter of a device.
ALTER TABLE meter ADD COLUMN open_period TEXT NOT NULL DEFAULT '';
ALTER TABLE meter ADD COLUMN summarised_at REAL NOT NULL DEFAULT 0;
-- Nothing is issued with an earlier time: the end of the last month that is CLOSING or SUMMARISED.
ALTER TABLE meter ADD COLUMN issue_time_min INTEGER NOT NULL DEFAULT 0;

UPDATE meter
   SET open_period = (SELECT strftime('%Y-%m', t.registered_at, 'unixepoch', '+8 hours')
                        FROM taxpayer AS t WHERE t.tax_number = meter.tax_number),
       summarised_at = (SELECT t.registered_at
                          FROM taxpayer AS t WHERE t.tax_number = meter.tax_number);

-- The meter an ISSUE event counts on, so that its oldest is found without a look at the others'.
ALTER TABLE outbox ADD COLUMN meter_id INTEGER;
UPDATE outbox
   SET meter_id = (SELECT m.meter_id
                     FROM invoice AS i
                     JOIN meter AS m ON m.tax_number = i.tax_number
                      AND m.machine_number = i.machine_number AND m.type = i.type
                    WHERE i.invoice_id = outbox.invoice_id)
 WHERE event = 'ISSUE';
CREATE INDEX outbox_unanswered ON outbox (meter_id, issue_time)
    WHERE event = 'ISSUE' AND state IN ('PENDING', 'PREPARED', 'SUBMITTED', 'IN_DOUBT');

UPDATE meter
   SET oldest_issue_time = ifnull(
       (SELECT min(at) FROM (
          SELECT o.issue_time AS at FROM outbox AS o
           WHERE o.meter_id = meter.meter_id AND o.event = 'ISSUE'
             AND o.state IN ('PENDING', 'PREPARED', 'SUBMITTED', 'IN_DOUBT')
          UNION ALL
          SELECT i.issue_time FROM invoice AS i
           WHERE i.tax_number = meter.tax_number AND i.machine_number = meter.machine_number
             AND i.type = meter.type AND i.state = 'RESERVED')), 0);

-- What an operator has lowered; NULL: the authority's own.
CREATE TABLE offline_control (
    tax_number     TEXT PRIMARY KEY REFERENCES taxpayer,
    age_hours_max  INTEGER CHECK (age_hours_max >= 0),
    amount_fen_max INTEGER CHECK (amount_fen_max >= 0),
    count_max      INTEGER CHECK (count_max >= 0),
    lock_day       INTEGER CHECK (lock_day BETWEEN 0 AND 31)
) STRICT, WITHOUT ROWID;
