-- Ends expired and exhausted tasks in a stretch of the live tasks (migrations/0009_maintenance.sql).
SELECT expired, failed, queue_id, priority, run_at, id FROM pgmill.sweep_v1($1, $2, $3, $4, $5)
