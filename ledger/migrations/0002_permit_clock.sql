-- By which clock the stored permits are timed: the wall clock minus the machine's monotonic clock
-- when the process that stored them started, and during which boot. One row at most.
CREATE TABLE permit_clock (
    permit_clock_id INTEGER PRIMARY KEY CHECK (permit_clock_id = 1),
    boot_id         TEXT NOT NULL,
    epoch           REAL NOT NULL
) STRICT;
