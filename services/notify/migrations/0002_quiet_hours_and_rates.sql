-- When a channel is not to be told, what waits for its next digest, and which alerts are still open.

ALTER TABLE channel ADD COLUMN quiet TEXT;    -- JSON, or NULL: never quiet
ALTER TABLE channel ADD COLUMN rate TEXT;     -- JSON, or NULL: no limit

-- Alerts with news that a channel has not been told of. The digest tells them as they are then.
CREATE TABLE held (
    channel_id TEXT    NOT NULL,
    alert_id   TEXT    NOT NULL,
    why        TEXT    NOT NULL CHECK (why IN ('quiet', 'rate')),
    held_at    INTEGER NOT NULL,
    PRIMARY KEY (channel_id, alert_id)
) STRICT, WITHOUT ROWID;

-- Some receivers are told again and again which alerts are open.
CREATE INDEX alert_open ON alert (id) WHERE resolved_at IS NULL;
