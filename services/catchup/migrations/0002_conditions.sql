-- What a host's agent says of power and network, and since when its catch-up has been put off.

ALTER TABLE host ADD COLUMN on_battery INTEGER;
ALTER TABLE host ADD COLUMN battery_percent REAL;
ALTER TABLE host ADD COLUMN metered INTEGER;
ALTER TABLE host ADD COLUMN deferred_since INTEGER;  -- kept until something runs or nothing is overdue
