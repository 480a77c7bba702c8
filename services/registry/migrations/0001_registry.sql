-- What the fleet is: hosts, what is expected of them, what they back up, and who may speak for them.
-- Secrets are here only as hashes, or sealed with the key file that lies beside this file.

-- Every host that ever enrolled. A removed one stays as a tombstone.
CREATE TABLE host (
    id            TEXT    PRIMARY KEY,
    name          TEXT    NOT NULL,          -- unique among the hosts that are not removed
    removed       INTEGER NOT NULL,
    version       INTEGER NOT NULL,
    record        TEXT    NOT NULL,          -- the public HostRecord as JSON
    zone_is_set   INTEGER NOT NULL,          -- 1: an operator chose the time zone
    reported_zone TEXT    NOT NULL,          -- what the agent last said, '' if nothing yet
    session       TEXT    NOT NULL,          -- the newest session that said hello, '' before
    connection    INTEGER                    -- its connection counter, if the agent has one
) STRICT;
CREATE INDEX host_by_name ON host (name) WHERE removed = 0;

-- The last sessions of each host, so that a hello that is delivered again is known as such.
CREATE TABLE hello (
    row_id  INTEGER PRIMARY KEY AUTOINCREMENT,
    host_id TEXT NOT NULL,
    session TEXT NOT NULL,
    UNIQUE (host_id, session)
) STRICT;

-- Tokens with which hosts may enroll.
CREATE TABLE enrollment_token (
    hash       TEXT    PRIMARY KEY,          -- SHA-256 of the token, hex
    id         TEXT    NOT NULL UNIQUE,      -- what audit entries call it
    name       TEXT,
    always_on  INTEGER NOT NULL,
    tags       TEXT    NOT NULL,             -- JSON list
    uses_left  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL              -- UTC microseconds
) STRICT;

-- Tokens with which agents connect. The one with the largest version is the present one.
CREATE TABLE agent_token (
    hash        TEXT    PRIMARY KEY,         -- SHA-256 of the token, hex
    host_id     TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    valid_until INTEGER,                     -- set while a rotation replaces it
    sealed      BLOB,                        -- the token itself, until its host has used it
    UNIQUE (host_id, version)
) STRICT;

-- Where each host backs up to: {url, password, environment} as JSON, sealed.
CREATE TABLE repository (
    host_id TEXT PRIMARY KEY,
    sealed  BLOB NOT NULL
) STRICT;

-- The salt of this installation: equal repository URLs get equal ids, and nobody can guess a URL.
CREATE TABLE installation (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    salt BLOB    NOT NULL
) STRICT;
INSERT INTO installation VALUES (1, randomblob(32));
