-- The read model: what pages and API show, kept from the log. Every count is an index scan.

CREATE TABLE host (
    id             TEXT    NOT NULL PRIMARY KEY,
    name           TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    record         TEXT    NOT NULL,               -- HostRecord, JSON
    removed        INTEGER NOT NULL DEFAULT 0,     -- a tombstone stays, so that nothing revives it
    always_on      INTEGER NOT NULL,
    timezone       TEXT    NOT NULL,
    os             TEXT    NOT NULL,
    arch           TEXT    NOT NULL,
    agent_version  TEXT    NOT NULL,
    enrolled_at    INTEGER NOT NULL,               -- UTC microseconds, as all times here
    has_schedule   INTEGER NOT NULL DEFAULT 0,     -- an enabled one with a source group
    next_fire_at   INTEGER,                        -- as of the last change; looked up again once past
    overdue_at     INTEGER,                        -- since or from when a pair is overdue
    status         TEXT    NOT NULL DEFAULT 'never_seen',
    display        TEXT    NOT NULL DEFAULT 'never_seen',
    since          INTEGER,
    session        TEXT,
    gateway        TEXT,
    offline_reason TEXT,
    last_seen_at   INTEGER,
    last_backup_at INTEGER,
    open_alerts    INTEGER NOT NULL DEFAULT 0,
    failing        INTEGER NOT NULL DEFAULT 0,     -- source groups whose last backup failed
    attention      INTEGER NOT NULL DEFAULT 0,
    current_job_id TEXT,
    pending_jobs   INTEGER NOT NULL DEFAULT 0,
    arm_id         TEXT,
    arm_state      TEXT,                           -- settling, running; NULL: no catch-up
    arm_due_at     INTEGER,
    on_battery     INTEGER,
    battery        REAL,
    metered        INTEGER,
    clock_offset   REAL
) STRICT;
-- Each begins with `removed`, so that a count needs nothing but the index.
CREATE INDEX host_by_name    ON host (removed, name, id);
CREATE INDEX host_by_display ON host (removed, display, name, id);
CREATE INDEX host_by_seen    ON host (removed, ifnull(last_seen_at, -1), id);
CREATE INDEX host_by_backup  ON host (removed, ifnull(last_backup_at, -1), id);
CREATE INDEX host_by_overdue ON host (removed, overdue_at);
CREATE INDEX host_by_trouble ON host (removed, attention, display, name);
CREATE INDEX host_by_job     ON host (removed, current_job_id);
CREATE INDEX host_by_arm     ON host (removed, arm_state);

CREATE TABLE host_tag (
    tag     TEXT NOT NULL,
    host_id TEXT NOT NULL,
    PRIMARY KEY (tag, host_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX host_tag_by_host ON host_tag (host_id);

-- How the last backups of each source group went.
CREATE TABLE backup (
    host_id             TEXT    NOT NULL,
    source_group_id     TEXT    NOT NULL,
    last_success_at     INTEGER,
    last_success_job_id TEXT,
    last_run_at         INTEGER,
    last_run_status     TEXT,
    failed_runs         INTEGER NOT NULL DEFAULT 0, -- since the last success
    PRIMARY KEY (host_id, source_group_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE job (
    id              TEXT    NOT NULL PRIMARY KEY,
    host_id         TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    status          TEXT    NOT NULL,
    origin          TEXT    NOT NULL,
    attempt         INTEGER NOT NULL,
    run_id          TEXT,
    schedule_id     TEXT,
    source_group_id TEXT,
    fire_time       INTEGER,
    created_at      INTEGER NOT NULL,
    started_at      INTEGER,
    finished_at     INTEGER,
    exit_code       INTEGER,
    error           TEXT,
    stats           TEXT,                           -- JSON
    requested_by    TEXT    NOT NULL DEFAULT '',
    pending         INTEGER NOT NULL DEFAULT 0,
    percent         REAL,
    seconds_left    REAL,
    session         TEXT,                           -- that accepted it
    lost_session    TEXT                            -- the last one that could not take it
) STRICT;
CREATE INDEX job_by_time   ON job (created_at, id);
CREATE INDEX job_by_host   ON job (host_id, created_at, id);
CREATE INDEX job_by_status ON job (status, created_at, id);

CREATE TABLE alert (
    id              TEXT    NOT NULL PRIMARY KEY,
    host_id         TEXT,
    host_name       TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    dedup_key       TEXT    NOT NULL,
    severity        TEXT    NOT NULL,
    message         TEXT    NOT NULL,
    state           TEXT    NOT NULL,
    hidden          INTEGER NOT NULL DEFAULT 0,     -- contradicts what is known of its host by now
    raised_at       INTEGER NOT NULL,
    last_seen_at    INTEGER NOT NULL,
    acknowledged_by TEXT,
    acknowledged_at INTEGER,
    note            TEXT,
    resolved_at     INTEGER,
    resolved_by     TEXT,
    resolved_reason TEXT,
    silenced        INTEGER NOT NULL DEFAULT 0,
    held_by         TEXT,
    facts           TEXT    NOT NULL                -- JSON
) STRICT;
CREATE INDEX alert_open    ON alert (hidden, state, silenced) WHERE state <> 'resolved';
CREATE INDEX alert_present ON alert (host_id, state, hidden, kind) WHERE state <> 'resolved';
CREATE INDEX alert_by_time ON alert (raised_at, id);
CREATE INDEX alert_by_host ON alert (host_id, raised_at, id);
CREATE INDEX alert_by_end  ON alert (resolved_at)            WHERE resolved_at IS NOT NULL;
CREATE INDEX alert_held    ON alert (held_by)                WHERE held_by IS NOT NULL;

-- What became of each notification, and which alerts it told.
CREATE TABLE delivery (
    id           TEXT    NOT NULL PRIMARY KEY,
    channel_id   TEXT    NOT NULL,
    channel_name TEXT    NOT NULL,
    event        TEXT    NOT NULL,
    tries        INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    delivered    INTEGER NOT NULL,
    error        TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_by_channel ON delivery (channel_id, at);
CREATE TABLE delivery_alert (
    alert_id    TEXT NOT NULL,
    delivery_id TEXT NOT NULL,
    PRIMARY KEY (alert_id, delivery_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id   TEXT    NOT NULL UNIQUE,             -- the same entry twice is one
    at         INTEGER NOT NULL,
    service    TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    actor_kind TEXT    NOT NULL,
    actor_id   TEXT    NOT NULL,
    actor_name TEXT    NOT NULL,
    actor_role TEXT    NOT NULL,
    host_id    TEXT,
    before     TEXT,                                -- JSON
    after      TEXT                                 -- JSON
) STRICT;
CREATE INDEX audit_by_time   ON audit (at, id);
CREATE INDEX audit_by_host   ON audit (host_id, id);
CREATE INDEX audit_by_action ON audit (action, id);

-- When each session began and ended, for the strips, and to know a fact that comes again.
CREATE TABLE stretch (
    host_id    TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    state      TEXT    NOT NULL,                    -- online, offline
    session    TEXT    NOT NULL,
    reason     TEXT,
    PRIMARY KEY (host_id, session, state)
) STRICT, WITHOUT ROWID;
CREATE INDEX stretch_by_time ON stretch (host_id, started_at);

-- Who listens for agents. Where none did, nothing was observed.
CREATE TABLE gateway (
    id         TEXT    NOT NULL PRIMARY KEY,
    since      INTEGER NOT NULL,
    ended_at   INTEGER,                             -- stopped or lost
    last_beat  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE unobserved (
    started_at INTEGER NOT NULL PRIMARY KEY,
    ended_at   INTEGER                              -- NULL: still so
) STRICT;
