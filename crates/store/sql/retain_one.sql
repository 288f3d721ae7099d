-- Retains tasks of one queue for the callers of a batch (migrations/0019_retain_one.sql).
SELECT caller, id, queue_id, queue, priority, created_at, run_at, dies_at, started_at, lease_until,
    attempt, spared, retries, payload::text, key, traceparent
FROM pgmill.retain_one_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
