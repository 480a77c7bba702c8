-- Who is there, since when, and what each host's history looks like.

-- One row per host ever heard of. `removed` rows are tombstones: a late event revives nobody.
CREATE TABLE host (
    host_id              TEXT    PRIMARY KEY,
    name                 TEXT    NOT NULL,
    always_on            INTEGER NOT NULL DEFAULT 1,
    record_version       INTEGER NOT NULL DEFAULT 0,   -- of the registry's record
    removed              INTEGER NOT NULL DEFAULT 0,
    status               TEXT    NOT NULL DEFAULT 'never_seen',
    since                INTEGER,                      -- UTC microseconds, as all times here
    last_seen            INTEGER,                      -- of an online host: see `heard`
    session              TEXT,
    connection           INTEGER,
    gateway              TEXT,
    reason               TEXT,                         -- why it went offline
    clock_offset_seconds REAL    NOT NULL DEFAULT 0,
    on_battery           INTEGER,
    battery_percent      REAL,
    metered              INTEGER,
    version              INTEGER NOT NULL DEFAULT 0    -- of the value in bucket `sessions`
) STRICT;
CREATE INDEX host_by_gateway ON host (gateway) WHERE status = 'online';

-- When an online host was last heard. Narrow, because beats rewrite it: 10,000 hosts are 100 pages.
CREATE TABLE heard (
    host_id TEXT    PRIMARY KEY,
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Sessions that said hello: the same hello again, however late, changes nothing.
CREATE TABLE known_session (
    row_id  INTEGER PRIMARY KEY,
    host_id TEXT NOT NULL,
    session TEXT NOT NULL,
    UNIQUE (host_id, session)
) STRICT;
CREATE INDEX known_session_by_host ON known_session (host_id, row_id);

-- The timeline: what a host was from `started_at` until its next row, and what began it.
CREATE TABLE interval (
    row_id     INTEGER PRIMARY KEY,
    host_id    TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    state      TEXT    NOT NULL,
    cause      TEXT    NOT NULL
) STRICT;
CREATE INDEX interval_by_host ON interval (host_id, started_at, row_id);

-- Gateways: `listening` since `since`, or `stopped` or `lost` at `ended_at`.
CREATE TABLE gateway (
    gateway  TEXT    PRIMARY KEY,
    since    INTEGER NOT NULL,
    state    TEXT    NOT NULL,
    heard_at INTEGER NOT NULL,                         -- the last sign of life
    ended_at INTEGER
) STRICT;

-- When no gateway was listening: what happened to hosts then, nobody saw.
CREATE TABLE unobserved (
    started_at INTEGER PRIMARY KEY,
    ended_at   INTEGER                                 -- NULL: still so
) STRICT;
