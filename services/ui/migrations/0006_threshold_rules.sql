-- The thresholds of tags and of modes, as the registry last told them. No row: there are none.
CREATE TABLE threshold_rules (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    rules TEXT NOT NULL                            -- ThresholdRules, JSON
) STRICT;
