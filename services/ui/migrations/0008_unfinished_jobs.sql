-- The jobs of a host that have not ended: what is looked at whenever anything about it changes.
CREATE INDEX job_unfinished ON job (host_id) WHERE status IN ('requested', 'dispatched', 'running');
