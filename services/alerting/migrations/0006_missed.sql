-- Which fire of a schedule must have led to a run by when: only of always-on hosts for which somebody
-- asked for it. `rule` is the cron expression and the zone that the fire was computed with.
CREATE TABLE expected_run (
    host_id     TEXT    NOT NULL,
    schedule_id TEXT    NOT NULL,
    rule        TEXT    NOT NULL,
    fire_at     INTEGER NOT NULL,                      -- UTC microseconds
    PRIMARY KEY (host_id, schedule_id)
) STRICT, WITHOUT ROWID;

-- The latest fire of each pair for which there was a run.
CREATE TABLE seen_run (
    host_id         TEXT    NOT NULL,
    schedule_id     TEXT    NOT NULL,
    source_group_id TEXT    NOT NULL,
    fire_at         INTEGER NOT NULL,
    PRIMARY KEY (host_id, schedule_id, source_group_id)
) STRICT, WITHOUT ROWID;

-- What a record says of schedules (JSON), and of the zone. A host from before has none here until its
-- record changes.
CREATE TABLE host_schedules (
    host_id   TEXT PRIMARY KEY,
    timezone  TEXT NOT NULL,
    schedules TEXT NOT NULL
) STRICT, WITHOUT ROWID;
ALTER TABLE host ADD COLUMN missed_seconds INTEGER;
