-- Who is connected here, how far each agent's reports are stored, and what a connection needs to know.
-- All times are UTC microseconds.

-- This gateway itself, one row.
CREATE TABLE gateway (
    one             INTEGER PRIMARY KEY CHECK (one = 1),
    listening_since INTEGER NOT NULL,      -- start of the present unbroken period
    pulse_at        INTEGER                -- when the shell last said that it hears; NULL: not yet
) STRICT;

-- The newest session of each host, wherever it is; `gateway` says where.
CREATE TABLE session (
    host_id        TEXT    PRIMARY KEY,
    session        TEXT    NOT NULL,
    gateway        TEXT    NOT NULL,
    connection     INTEGER,                -- the agent's counter; NULL: a minimal agent
    live           INTEGER NOT NULL,       -- 1: here, and not ended
    last_seen      INTEGER NOT NULL,       -- last frame; exact to the pulse's interval
    log_seq        INTEGER,                -- where its hello lies in the log; NULL: not read yet
    spool_id       TEXT    NOT NULL,
    sync_seq       INTEGER NOT NULL,       -- what the spool held at hello
    synced         INTEGER NOT NULL,
    config_version INTEGER NOT NULL        -- what the agent says it runs
) STRICT, WITHOUT ROWID;

-- Up to where the reports of an agent's spool are published.
CREATE TABLE spool (
    host_id        TEXT    NOT NULL,
    spool_id       TEXT    NOT NULL,
    last_seq       INTEGER NOT NULL,
    last_report_at INTEGER,                -- the time given to the last one: later ones are not before
    used_at        INTEGER NOT NULL,
    PRIMARY KEY (host_id, spool_id)
) STRICT, WITHOUT ROWID;

-- Agent tokens that are known to be valid, by their sha-256.
CREATE TABLE token (
    token_hash    TEXT    PRIMARY KEY,
    host_id       TEXT    NOT NULL,
    token_version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX token_by_host ON token (host_id);

-- The public record of each host: what its agent is configured from.
CREATE TABLE host (
    host_id        TEXT    PRIMARY KEY,
    version        INTEGER NOT NULL,
    config_version INTEGER NOT NULL,
    removed        INTEGER NOT NULL,
    record         TEXT    NOT NULL        -- JSON
) STRICT, WITHOUT ROWID;

-- The last few hellos of each host in the log, so that one that comes again is known.
CREATE TABLE hello (
    host_id TEXT    NOT NULL,
    session TEXT    NOT NULL,
    log_seq INTEGER NOT NULL,
    PRIMARY KEY (host_id, session)
) STRICT, WITHOUT ROWID;
