-- What alerting knows of hosts, gateways and jobs, and the alerts that follow from it.

-- One row per host ever heard of. `removed` rows are tombstones: a late event revives nobody.
CREATE TABLE host (
    host_id         TEXT    PRIMARY KEY,
    name            TEXT    NOT NULL,
    always_on       INTEGER NOT NULL DEFAULT 1,
    removed         INTEGER NOT NULL DEFAULT 0,
    record_version  INTEGER NOT NULL DEFAULT 0,        -- of the registry's record
    offline_seconds INTEGER,                           -- the host's own thresholds; NULL: the fleet's
    stale_seconds   INTEGER,
    has_schedule    INTEGER NOT NULL DEFAULT 0,        -- at least one is enabled
    group_names     TEXT    NOT NULL DEFAULT '{}',     -- JSON: source group id → name
    status          TEXT    NOT NULL DEFAULT 'never_seen',
    session         TEXT,
    connection      INTEGER,
    gateway         TEXT,                              -- that held the last session
    last_seen       INTEGER,                           -- UTC microseconds, as all times here
    offline_at      INTEGER,
    offline_reason  TEXT,
    last_success_at INTEGER,
    synced_session  TEXT,                              -- the last session whose reports are all here
    synced_gate     INTEGER NOT NULL DEFAULT 0         -- `watch.gate` when they were
) STRICT;
CREATE INDEX host_away ON host (offline_at) WHERE status = 'offline' AND always_on AND NOT removed;

-- Sessions that said hello: the same hello again, however late, changes nothing.
CREATE TABLE known_session (
    row_id  INTEGER PRIMARY KEY,
    host_id TEXT NOT NULL,
    session TEXT NOT NULL,
    UNIQUE (host_id, session)
) STRICT;
CREATE INDEX known_session_by_host ON known_session (host_id, row_id);

-- When hosts were online, for a day: what a mass outage is measured by.
CREATE TABLE stretch (
    row_id      INTEGER PRIMARY KEY,
    host_id     TEXT    NOT NULL,
    online_from INTEGER NOT NULL,
    online_to   INTEGER                                -- NULL: still online
) STRICT;
CREATE INDEX stretch_by_host ON stretch (host_id, online_from);
CREATE INDEX stretch_by_end ON stretch (online_to);

-- Gateways: `listening` since `since`, or `stopped`, or `lost`.
CREATE TABLE gateway (
    gateway  TEXT    PRIMARY KEY,
    since    INTEGER NOT NULL,
    state    TEXT    NOT NULL,
    heard_at INTEGER NOT NULL,                         -- the last sign of life
    lost_at  INTEGER                                   -- its last loss
) STRICT;

-- Whether anyone listens. Silence counts within one period; staleness waits behind a gate.
CREATE TABLE watch (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    period_start INTEGER,                              -- NULL: no gateway listens
    dark_from    INTEGER,                              -- since when none does; NULL: unknown
    gate         INTEGER NOT NULL DEFAULT 0,           -- counts the long blackouts
    gate_since   INTEGER                               -- when the last of them ended
) STRICT;
INSERT INTO watch (one) VALUES (1);

-- Ends of jobs that were taken into account: the same end again, however late, changes nothing.
CREATE TABLE job_end (
    job_id  TEXT    NOT NULL,
    what    TEXT    NOT NULL,                          -- finished, interrupted, abandoned
    host_id TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (job_id, what)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_end_by_host ON job_end (host_id, at);

-- Failures to be told once the log has been read to its end, if nothing there undoes them.
CREATE TABLE untold (
    row_id    INTEGER PRIMARY KEY,
    host_id   TEXT NOT NULL,
    kind      TEXT NOT NULL,
    dedup_key TEXT NOT NULL,
    message   TEXT NOT NULL,
    facts     TEXT NOT NULL,                           -- JSON
    UNIQUE (host_id, kind, dedup_key)
) STRICT;

-- Alerts, the history included. `body` is the alert as published.
CREATE TABLE alert (
    alert_id    TEXT    PRIMARY KEY,
    host_id     TEXT    NOT NULL,                      -- '': the fleet
    kind        TEXT    NOT NULL,
    dedup_key   TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    resolved_at INTEGER,
    body        TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX alert_open ON alert (host_id, kind, dedup_key) WHERE state != 'resolved';
CREATE INDEX alert_by_host ON alert (host_id, alert_id DESC);
CREATE INDEX alert_by_end ON alert (resolved_at) WHERE state = 'resolved';

-- Conditions that hold although an operator resolved their alert: raised again at `until`.
CREATE TABLE mute (
    host_id  TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    until    INTEGER NOT NULL,
    PRIMARY KEY (host_id, kind)
) STRICT, WITHOUT ROWID;

-- Hosts that went away together; `alert_id` is the fleet_outage that holds their alerts back.
CREATE TABLE outage_member (
    alert_id TEXT NOT NULL,
    host_id  TEXT NOT NULL,
    PRIMARY KEY (alert_id, host_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX outage_member_by_host ON outage_member (host_id);
CREATE TABLE outage (
    alert_id       TEXT    PRIMARY KEY,
    raised_at      INTEGER NOT NULL,
    last_return_at INTEGER
) STRICT, WITHOUT ROWID;
