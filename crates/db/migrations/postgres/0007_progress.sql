-- How far a job is, as JSON: written every few seconds at most, beside the row's version.
DROP VIEW live_execution;
DROP VIEW strict_execution;
ALTER TABLE execution ADD COLUMN progress TEXT;
CREATE VIEW live_execution AS SELECT * FROM execution WHERE deleted_at IS NULL;
-- What sahara_strict shows: deleted rows stay, as TOBEKILLED, until their job is gone.
CREATE VIEW strict_execution AS SELECT * FROM execution WHERE deleted_at IS NULL OR duty <> 'none';
