-- What every service keeps beside its own tables: where it stands in the log, what it still has to
-- tell, what it must look at later, what it must do outside, and why it decided as it did.

-- The last applied event. Committed together with the state that follows from it.
CREATE TABLE position (
    one            INTEGER PRIMARY KEY CHECK (one = 1),
    log_created_at TEXT    NOT NULL,    -- the log's identity: it changes when the log is wiped
    seq            INTEGER NOT NULL,
    event_id       TEXT    NOT NULL     -- a log that lost its tail hands out sequences again
) STRICT;

-- Events and bucket values that are decided but not yet acknowledged by the bus, oldest first.
CREATE TABLE outbox (
    row_id   INTEGER PRIMARY KEY AUTOINCREMENT,   -- never handed out again
    event_id TEXT    NOT NULL,                    -- unique for ever, by its making
    subject  TEXT    NOT NULL,
    bucket   TEXT,                                -- NULL: an event
    data     BLOB                                 -- NULL: delete the bucket's key
) STRICT;

-- What must be looked at, and when. The loop sleeps until the smallest due_at.
CREATE TABLE deadline (
    kind   TEXT    NOT NULL,
    key    TEXT    NOT NULL,
    due_at INTEGER NOT NULL,                      -- UTC microseconds
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX deadline_by_time ON deadline (due_at);

-- What must happen outside (a command to an agent, a webhook). Repeated after a crash.
CREATE TABLE effect (
    row_id  INTEGER PRIMARY KEY AUTOINCREMENT,
    kind    TEXT NOT NULL,
    key     TEXT NOT NULL,
    payload TEXT NOT NULL,                        -- JSON
    UNIQUE (kind, key)
) STRICT;

-- What was decided, when, by which rule, from which facts (R19).
CREATE TABLE decision (
    row_id  INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,                     -- UTC microseconds
    host_id TEXT    NOT NULL,
    what    TEXT    NOT NULL,                     -- a stable name, such as no_alert
    rule    TEXT    NOT NULL,                     -- R1..R20, or empty
    text    TEXT    NOT NULL,                     -- one sentence for people
    facts   TEXT    NOT NULL                      -- JSON
) STRICT;
CREATE INDEX decision_by_host ON decision (host_id, row_id DESC);
