-- Whether a host's agent has its configuration: a step of the page on which a host is added.
ALTER TABLE host ADD COLUMN config_version INTEGER NOT NULL DEFAULT 0; -- the agent's; 0: has none
