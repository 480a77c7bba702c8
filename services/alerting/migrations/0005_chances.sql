-- Chances to back up that went by without a success, of intermittent hosts with an enabled schedule:
-- sessions begun after the last success (or enrollment, mode, first enabled schedule).
CREATE TABLE chance (
    host_id  TEXT    PRIMARY KEY,
    sessions INTEGER NOT NULL,                         -- that have ended, and were long enough
    awake    INTEGER NOT NULL,                         -- microseconds in them
    since    INTEGER                                   -- begin of the present one; NULL: none counts
) STRICT, WITHOUT ROWID;
CREATE INDEX chance_present ON chance (since) WHERE since IS NOT NULL;
INSERT INTO chance SELECT host_id, 0, 0, NULL FROM host
    WHERE has_schedule AND NOT always_on AND NOT removed;
