-- Creates a batch of tasks. The statement is the function's (migrations/0003_enqueue.sql), where the locks and the index
-- it relies on are told.
SELECT ord, code, id, queue_id, created_at, run_at, dies_at, retries
FROM pgmill.enqueue_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
