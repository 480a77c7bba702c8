-- Until when a gateway that listened, when we were last cut off ourselves, is awaited: nothing is
-- judged before it was heard. NULL: it was heard since.
ALTER TABLE gateway ADD COLUMN awaited_until INTEGER;

-- When the reports of `synced_session` were here: after a long blackout, those who were heard since
-- are not awaited, whichever gateway told first that it is over.
ALTER TABLE host ADD COLUMN synced_at INTEGER;
