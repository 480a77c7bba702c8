-- Until when somebody is known to have listened, as of the last loss of the log: what is read again
-- of a gateway is older than that.
ALTER TABLE watch ADD COLUMN listened_until INTEGER;
