-- Until when a gateway listened before its present period; NULL: it had none.
ALTER TABLE gateway ADD COLUMN listened_until INTEGER;
