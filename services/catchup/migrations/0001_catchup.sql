-- What catch-up knows of each host, its arms with their lists, and the runs that hold a slot.

CREATE TABLE host (
    host_id    TEXT    PRIMARY KEY,
    version    INTEGER NOT NULL,          -- of the record
    record     TEXT    NOT NULL,          -- HostRecord as JSON
    repository_id TEXT,                   -- of the record, for the queue
    session    TEXT,                      -- the newest session, live or not
    connection INTEGER,
    online     INTEGER NOT NULL DEFAULT 0,
    synced     INTEGER NOT NULL DEFAULT 0 -- the reports kept before that session's hello are in
) STRICT, WITHOUT ROWID;

-- Sessions that said hello: the same hello twice arms once.
CREATE TABLE known_session (
    session TEXT    PRIMARY KEY,
    host_id TEXT    NOT NULL,
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE success (
    host_id         TEXT    NOT NULL,
    source_group_id TEXT    NOT NULL,
    at              INTEGER NOT NULL,     -- the latest
    job_id          TEXT    NOT NULL,
    PRIMARY KEY (host_id, source_group_id)
) STRICT, WITHOUT ROWID;

-- Jobs by what was last told of them. Ended ones are kept a while, so that a late `started` of one
-- does not make its host look busy for ever.
CREATE TABLE job (
    job_id  TEXT    PRIMARY KEY,
    host_id TEXT    NOT NULL,
    state   TEXT    NOT NULL,             -- busy, given_up, ended
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX job_by_host ON job (host_id, state);

CREATE TABLE arm (
    host_id      TEXT    PRIMARY KEY,
    arm_id       TEXT    NOT NULL,        -- the session whose hello armed it
    armed_at     INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,
    state        TEXT    NOT NULL,        -- settling, waiting, queued, running
    wait         TEXT,                    -- why it is waiting
    listed       INTEGER NOT NULL,        -- the overdue pairs were listed
    last_success INTEGER                  -- of the next pair; NULL: never. Only while queued
) STRICT, WITHOUT ROWID;
CREATE INDEX arm_queue ON arm (state, last_success, due_at, host_id);

-- The overdue pairs of an arm, in the order in which they are asked for.
CREATE TABLE pair (
    host_id         TEXT    NOT NULL,
    position        INTEGER NOT NULL,
    schedule_id     TEXT    NOT NULL,
    source_group_id TEXT    NOT NULL,
    state           TEXT    NOT NULL,     -- listed, requested, succeeded, ended, skipped
    PRIMARY KEY (host_id, position)
) STRICT, WITHOUT ROWID;

-- Requests that have not ended. Each holds a slot while its host is online.
CREATE TABLE run (
    host_id         TEXT    PRIMARY KEY,
    arm_id          TEXT    NOT NULL,
    run_id          TEXT    NOT NULL,
    schedule_id     TEXT    NOT NULL,
    source_group_id TEXT    NOT NULL,
    repository_id   TEXT,
    accepted        INTEGER NOT NULL      -- the agent took it
) STRICT, WITHOUT ROWID;
