-- Who is told of alerts, what we know of alerts and hosts, and every message that was or will be sent.

-- Where messages go. What is secret is in `sealed` only, encrypted with the key file. A deleted
-- channel keeps its row (its deliveries point here) but nothing secret.
CREATE TABLE channel (
    id                TEXT    PRIMARY KEY,
    name              TEXT    NOT NULL,
    kind              TEXT    NOT NULL,       -- webhook; more to come
    sealed            TEXT    NOT NULL,       -- the kind's config as encrypted JSON
    filter            TEXT    NOT NULL,       -- JSON
    created_at        INTEGER NOT NULL,       -- UTC microseconds, as every time here
    deleted_at        INTEGER,
    last_delivered_at INTEGER,
    last_error_at     INTEGER,                -- of a try; newer than last_delivered_at: in trouble
    last_error        TEXT,
    last_failed_at    INTEGER                 -- a delivery was given up
) STRICT;

-- What filters and messages need of a host, by version.
CREATE TABLE host (
    id      TEXT    PRIMARY KEY,
    name    TEXT    NOT NULL,
    tags    TEXT    NOT NULL,                 -- JSON list
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The last word on every alert: an old fact that comes again must find it, so rows outlive the log.
CREATE TABLE alert (
    id          TEXT    PRIMARY KEY,
    state       TEXT    NOT NULL,             -- open, acknowledged, resolved
    held_by     TEXT,                         -- the mass outage that holds its messages back
    body        TEXT    NOT NULL,             -- the alert as JSON
    resolved_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_by_hold ON alert (held_by) WHERE held_by IS NOT NULL;
CREATE INDEX alert_by_end ON alert (resolved_at) WHERE resolved_at IS NOT NULL;

-- One message to one channel, written before it is tried. `place` is the order of things.
CREATE TABLE delivery (
    place          INTEGER PRIMARY KEY AUTOINCREMENT,
    id             TEXT    NOT NULL UNIQUE,   -- Dormice-Id
    channel_id     TEXT    NOT NULL REFERENCES channel (id),
    news           TEXT    NOT NULL,          -- raised, resolved, summary, …
    alert_ids      TEXT    NOT NULL,          -- JSON list
    body           TEXT    NOT NULL,          -- JSON, the same at every try but for sent_at
    state          TEXT    NOT NULL CHECK (state IN (
        'blocked', 'ready', 'sending', 'waiting', 'delivered', 'failed', 'dropped')),
    tries          INTEGER NOT NULL DEFAULT 0,
    created_at     INTEGER NOT NULL,
    first_tried_at INTEGER,
    next_try_at    INTEGER,
    ended_at       INTEGER,
    status         INTEGER,                   -- the last HTTP status
    error          TEXT                       -- why the last try did not work
) STRICT;
CREATE INDEX delivery_by_state ON delivery (channel_id, state, place);
CREATE INDEX delivery_by_channel ON delivery (channel_id, place);
CREATE INDEX delivery_by_end ON delivery (ended_at) WHERE ended_at IS NOT NULL;

-- Which alerts a delivery is about: what is later in the queue of one alert on one channel waits.
CREATE TABLE delivery_alert (
    alert_id   TEXT    NOT NULL,
    channel_id TEXT    NOT NULL,
    place      INTEGER NOT NULL REFERENCES delivery (place) ON DELETE CASCADE,
    PRIMARY KEY (alert_id, channel_id, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_alert_by_place ON delivery_alert (place);
