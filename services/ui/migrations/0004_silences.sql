-- How often an alert was silenced or silenced no more: what comes again is known for an old fact.
ALTER TABLE alert ADD COLUMN silence_changes INTEGER NOT NULL DEFAULT 0;
