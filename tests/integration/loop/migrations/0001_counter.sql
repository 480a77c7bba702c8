-- Each hello once, each host told once.
CREATE TABLE hello (host_id TEXT, session TEXT, PRIMARY KEY (host_id, session)) STRICT;
CREATE TABLE told (host_id TEXT PRIMARY KEY) STRICT;
