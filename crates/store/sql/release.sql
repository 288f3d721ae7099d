-- Ends the attempts of a batch (migrations/0005_release.sql).
SELECT ord, code, status, ended_at, run_at, attempt, spared, retries,
    queue_id, queue, priority, created_at, dies_at, started_at, worker, key, payload::text
FROM pgmill.release_v1($1, $2, $3, $4, $5, $6, $7, $8, $9)
