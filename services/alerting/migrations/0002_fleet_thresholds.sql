-- The fleet's thresholds that the stored deadlines were computed with: a restart may change them.
CREATE TABLE fleet_threshold (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    floor       INTEGER NOT NULL,                      -- microseconds, both
    stale_after INTEGER NOT NULL
) STRICT;
