-- Why a job did not succeed, in a word; and requests that a catch-up makes once more.

ALTER TABLE job ADD COLUMN reason TEXT;        -- as the agent told it, FailureReason

ALTER TABLE catchup_request ADD COLUMN put_off INTEGER NOT NULL DEFAULT 0;
