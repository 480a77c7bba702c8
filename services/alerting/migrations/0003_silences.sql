-- Silences: whom nobody is told of, from when, until when, why.

-- `body` is the silence as it is shown and audited. `over_at`: its end, by hand or as planned.
CREATE TABLE silence (
    silence_id TEXT    PRIMARY KEY,
    over_at    INTEGER NOT NULL,                       -- UTC microseconds; not covered any more
    body       TEXT    NOT NULL                        -- JSON
) STRICT;
CREATE INDEX silence_by_end ON silence (over_at);

-- JSON list. A host from before has none here until its record changes.
ALTER TABLE host ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
