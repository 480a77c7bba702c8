-- When each gateway listened before its present period, as far as it was heard: a blackout of several
-- is what none of these covers.
CREATE TABLE gateway_period (
    gateway    TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    PRIMARY KEY (gateway, started_at)
) STRICT, WITHOUT ROWID;
