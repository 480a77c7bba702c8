-- The thresholds of tags and of modes: one document, replaced as a whole. No row: none ever was.
CREATE TABLE threshold_rules (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,
    rules   TEXT    NOT NULL                 -- ThresholdRules as JSON
) STRICT;
