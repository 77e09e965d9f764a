-- Executions without a job template (MRS), and who submitted one by name.
DROP VIEW live_execution;
DROP VIEW strict_execution;
ALTER TABLE execution ADD COLUMN user_name TEXT;
ALTER TABLE execution ADD COLUMN direct TEXT;
CREATE VIEW live_execution AS SELECT * FROM execution WHERE deleted_at IS NULL;
-- What sahara_strict shows: deleted rows stay, as TOBEKILLED, until their job is gone.
CREATE VIEW strict_execution AS SELECT * FROM execution WHERE deleted_at IS NULL OR duty <> 'none';
CREATE INDEX execution_of_cluster ON execution (cluster_id, created_at, id) WHERE deleted_at IS NULL;
