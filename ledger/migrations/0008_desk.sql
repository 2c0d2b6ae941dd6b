-- What an operator's desk remembers: how fast stock is used, how backlogs came about, thresholds, and
-- points that are filled up by themselves.

-- How far a segment's numbers are counted in `burn`; NULL: none of them yet.
ALTER TABLE segment ADD COLUMN sampled_next INTEGER;
UPDATE segment SET sampled_next = next;
CREATE INDEX segment_unsampled ON segment (segment_id) WHERE next > ifnull(sampled_next, first);

-- Points and types from which a number was ever taken.
CREATE TABLE stock_counter (
    tax_number  TEXT NOT NULL,
    point       INTEGER NOT NULL,
    type        TEXT NOT NULL,
    taken_count INTEGER NOT NULL CHECK (taken_count > 0),
    first_hour  INTEGER NOT NULL,  -- from which on `burn` has every number
    PRIMARY KEY (tax_number, point, type)
) STRICT, WITHOUT ROWID;

INSERT INTO stock_counter (tax_number, point, type, taken_count, first_hour)
SELECT tax_number, point, type, sum(next - first), unixepoch() / 3600 + 1
  FROM segment
 WHERE point IS NOT NULL AND next > first
 GROUP BY tax_number, point, type;

-- Numbers taken by hour: unix seconds divided by 3600. Kept for 8 days.
CREATE TABLE burn (
    tax_number  TEXT NOT NULL,
    point       INTEGER NOT NULL,
    type        TEXT NOT NULL,
    hour        INTEGER NOT NULL,
    taken_count INTEGER NOT NULL CHECK (taken_count > 0),
    PRIMARY KEY (tax_number, point, type, hour)
) STRICT, WITHOUT ROWID;

CREATE INDEX burn_hour ON burn (hour);

-- A taxpayer's backlog, at most once a minute and only while there is one. Kept for 8 days.
CREATE TABLE backlog_sample (
    tax_number            TEXT NOT NULL,
    at                    INTEGER NOT NULL,
    unuploaded_count      INTEGER NOT NULL,
    unuploaded_amount_fen INTEGER NOT NULL,
    oldest_age_s          INTEGER NOT NULL,
    used_ppm              INTEGER NOT NULL,
    PRIMARY KEY (tax_number, at)
) STRICT, WITHOUT ROWID;

CREATE INDEX backlog_sample_at ON backlog_sample (at);

-- `point` -1: of every point of the taxpayer that has none of its own.
CREATE TABLE stock_threshold (
    tax_number   TEXT NOT NULL REFERENCES taxpayer,
    point        INTEGER NOT NULL CHECK (point BETWEEN -1 AND 65535),
    type         TEXT NOT NULL,
    low_count    INTEGER NOT NULL CHECK (low_count > 0),
    target_count INTEGER NOT NULL CHECK (target_count > low_count),
    auto_draw    INTEGER NOT NULL CHECK (auto_draw IN (0, 1)),
    PRIMARY KEY (tax_number, point, type)
) STRICT, WITHOUT ROWID;

-- What of the outbox does not merely wait for its turn, so that it is counted without the rest.
CREATE INDEX outbox_under_way ON outbox (tax_number, state)
    WHERE state IN ('PREPARED', 'SUBMITTED', 'IN_DOUBT', 'REJECTED', 'SIGNATURE_REJECTED');
