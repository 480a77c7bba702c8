-- Who may come in. Secrets are here as hashes only: argon2id for passwords, sha-256 for what is
-- random (256 bits) already.

CREATE TABLE operator (
    id            TEXT    NOT NULL PRIMARY KEY,
    name          TEXT    NOT NULL UNIQUE,
    role          TEXT    NOT NULL,                 -- viewer, operator, admin
    password      TEXT    NOT NULL,                 -- argon2id
    created_at    INTEGER NOT NULL,
    last_login_at INTEGER,
    disabled      INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE api_token (
    id           TEXT    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    role         TEXT    NOT NULL,
    token_hash   TEXT    NOT NULL UNIQUE,
    created_by   TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE web_session (
    token_hash  TEXT    NOT NULL PRIMARY KEY,
    operator_id TEXT    NOT NULL REFERENCES operator (id) ON DELETE CASCADE,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX web_session_by_operator ON web_session (operator_id);

-- The code that lets the first admin choose a name and a password. At most one, used once.
CREATE TABLE setup_code (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    code_hash  TEXT    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
