-- How long a host usually stays online, and what a run of each of its groups usually takes.

ALTER TABLE host ADD COLUMN online_since INTEGER;   -- of the present stay, over all its sessions
ALTER TABLE host ADD COLUMN usual_stay   INTEGER;   -- microseconds
ALTER TABLE host ADD COLUMN stays        INTEGER NOT NULL DEFAULT 0;  -- that were learned from

CREATE TABLE usual_group_run (
    host_id         TEXT    NOT NULL,
    source_group_id TEXT    NOT NULL,
    microseconds    INTEGER NOT NULL,
    PRIMARY KEY (host_id, source_group_id)
) STRICT, WITHOUT ROWID;
