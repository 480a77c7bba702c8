-- What a job was asked beside its kind, and how far it is in bytes and files.

ALTER TABLE job ADD COLUMN arguments   TEXT;        -- JSON
ALTER TABLE job ADD COLUMN bytes_done  INTEGER;
ALTER TABLE job ADD COLUMN bytes_total INTEGER;
ALTER TABLE job ADD COLUMN files_done  INTEGER;

CREATE INDEX job_by_kind ON job (host_id, kind, finished_at);
