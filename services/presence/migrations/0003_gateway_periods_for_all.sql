-- A build of the time before 1.0.0 had something else as number 2: its files lack this table. (They have
-- a column of `gateway` more, which nobody reads.)
CREATE TABLE IF NOT EXISTS gateway_period (
    gateway    TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    PRIMARY KEY (gateway, started_at)
) STRICT, WITHOUT ROWID;
