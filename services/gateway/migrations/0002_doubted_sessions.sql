-- 1: its reports had arrived before we began to listen anew, and it was not heard since (R6).
ALTER TABLE session ADD COLUMN doubted INTEGER NOT NULL DEFAULT 0;
CREATE INDEX session_doubted ON session (host_id) WHERE doubted;
