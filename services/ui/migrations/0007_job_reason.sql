-- Why a job did not succeed, in a word.

ALTER TABLE job ADD COLUMN reason TEXT;
