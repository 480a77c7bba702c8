-- The thresholds of tags and modes: half of staleness ends every putting off.
CREATE TABLE threshold_rules (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    rules TEXT NOT NULL                   -- ThresholdRules as JSON
) STRICT;
