-- What the benchmark's machine keeps: one row a host.
CREATE TABLE host (host_id TEXT PRIMARY KEY, session TEXT NOT NULL, seen INTEGER NOT NULL) STRICT;
