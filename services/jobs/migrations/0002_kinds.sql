-- Jobs of other kinds than backups: what they are told, and which repository they lock.

ALTER TABLE job ADD COLUMN arguments TEXT;     -- JSON
ALTER TABLE job ADD COLUMN locks     TEXT;     -- repository_id, of a kind that locks it for itself
CREATE INDEX job_locking ON job (locks) WHERE locks IS NOT NULL;

ALTER TABLE host ADD COLUMN repository_id TEXT;    -- as in the record
UPDATE host SET repository_id = json_extract(record, '$.repository_id') WHERE json_valid(record);
CREATE INDEX host_by_repository ON host (repository_id);
