-- A catch-up whose repository could not be reached: how often, and when it is tried again.

ALTER TABLE arm ADD COLUMN put_off INTEGER NOT NULL DEFAULT 0;
ALTER TABLE arm ADD COLUMN retry_at INTEGER;
ALTER TABLE arm ADD COLUMN retry_repository TEXT;  -- the one; another may be reached
