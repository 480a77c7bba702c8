-- The ledger of jobs, the fires that were reported, hosts with their session, logs.

CREATE TABLE host (
    host_id    TEXT    PRIMARY KEY,
    version    INTEGER NOT NULL,          -- of the record
    record     TEXT    NOT NULL,          -- HostRecord as JSON
    session    TEXT,                      -- the newest session, live or not
    connection INTEGER,
    gateway    TEXT,
    online     INTEGER NOT NULL DEFAULT 0,
    synced     INTEGER NOT NULL DEFAULT 0,-- the reports kept before that session's hello are in
    hello_at   INTEGER,
    running    TEXT    NOT NULL DEFAULT '[]'   -- job ids that the hello listed, JSON
) STRICT, WITHOUT ROWID;

-- Sessions that said hello: the same hello twice counts once.
CREATE TABLE known_session (
    session TEXT    PRIMARY KEY,
    host_id TEXT    NOT NULL,
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE job (
    job_id          TEXT    PRIMARY KEY,
    host_id         TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    origin          TEXT    NOT NULL,     -- who wanted the run
    cause           TEXT    NOT NULL,     -- what made this attempt: fire, retry, reconnect, arm, …
    status          TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    requested_by    TEXT    NOT NULL DEFAULT '',
    run_id          TEXT,
    attempt         INTEGER NOT NULL DEFAULT 1,
    schedule_id     TEXT,
    source_group_id TEXT,
    fire_time       INTEGER,
    arm_id          TEXT,                 -- the catch-up whose request moves the job
    -- sending
    not_before      INTEGER,              -- a failed run's pause
    next_try_at     INTEGER,              -- the backoff of sends; a hello ends it
    not_in_session  TEXT,                 -- wait for another session than this one
    wait_reason     TEXT,                 -- why the last send was not accepted
    tries           INTEGER NOT NULL DEFAULT 0,
    sent_session    TEXT,                 -- sent there, and no answer yet
    sent_at         INTEGER,              -- the first send
    wants_hold      INTEGER NOT NULL DEFAULT 0,  -- the agent waits for an answer to its fire
    hold_until      INTEGER,
    -- at the agent
    at_agent        INTEGER NOT NULL DEFAULT 0,  -- accepted there and not known to have ended
    seen_session    TEXT,                 -- the last session that told of it
    dispatched_at   INTEGER,
    started_at      INTEGER,
    start_reported  INTEGER NOT NULL DEFAULT 0,
    end_reported    INTEGER NOT NULL DEFAULT 0,  -- by the agent: stands for good
    cancel_wanted   INTEGER NOT NULL DEFAULT 0,
    finished_at     INTEGER,
    exit_code       INTEGER,
    error           TEXT,
    stats           TEXT                  -- JSON
) STRICT, WITHOUT ROWID;
CREATE INDEX job_by_host ON job (host_id, status);
CREATE INDEX job_at_agent ON job (host_id) WHERE at_agent;
CREATE INDEX job_by_run ON job (run_id, attempt);
CREATE INDEX job_by_pair ON job (host_id, schedule_id, source_group_id, fire_time);
CREATE INDEX job_by_time ON job (created_at);

-- Fires that agents reported. `judged`: it has its job, or needs none.
CREATE TABLE fire (
    host_id         TEXT    NOT NULL,
    schedule_id     TEXT    NOT NULL,
    source_group_id TEXT    NOT NULL,
    fire_time       INTEGER NOT NULL,
    first_job_id    TEXT    NOT NULL,     -- attempt 1, which the agent may start alone
    judged          INTEGER NOT NULL,
    PRIMARY KEY (host_id, schedule_id, source_group_id, fire_time)
) STRICT, WITHOUT ROWID;
CREATE INDEX fire_by_job ON fire (first_job_id);
CREATE INDEX fire_to_judge ON fire (host_id) WHERE NOT judged;

-- Requests of catch-ups that were answered: one attempt per arm and pair.
CREATE TABLE catchup_request (
    arm_id          TEXT    NOT NULL,
    schedule_id     TEXT    NOT NULL,
    source_group_id TEXT    NOT NULL,
    at              INTEGER NOT NULL,
    PRIMARY KEY (arm_id, schedule_id, source_group_id)
) STRICT, WITHOUT ROWID;

-- What bucket `backups` holds.
CREATE TABLE backup (
    host_id             TEXT    NOT NULL,
    source_group_id     TEXT    NOT NULL,
    last_success_at     INTEGER,
    last_success_job_id TEXT,
    last_run_at         INTEGER NOT NULL,
    last_run_status     TEXT    NOT NULL,
    version             INTEGER NOT NULL,
    PRIMARY KEY (host_id, source_group_id)
) STRICT, WITHOUT ROWID;

-- Log lines as they came live (place ≥ 0: where in the log), and the report's tail (place -1).
CREATE TABLE job_log (
    job_id TEXT    NOT NULL,
    place  INTEGER NOT NULL,
    text   BLOB    NOT NULL,              -- UTF-8, may begin or end amid a character
    PRIMARY KEY (job_id, place)
) STRICT, WITHOUT ROWID;
