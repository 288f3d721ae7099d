-- Tasks of a namespace by id, live and finished; of one queue ($2) and in one status ($3) where these are given.
-- No lock. Relies on: task_pkey, task_finished_id.
SELECT q.ns, q.queue, t.id, t.status, t.priority, t.created_at, t.delayed_at, t.dies_at, t.started_at, t.finished_at,
    t.lease_until, t.holder, t.attempt, t.spared, t.retries, t.worker, t.key, t.payload::text, t.result::text, t.traceparent
FROM pgmill.any_task_v1 t
JOIN pgmill.queue q ON q.id = t.queue_id
WHERE q.ns = $1 AND ($2::text IS NULL OR q.queue = $2) AND ($3::smallint IS NULL OR t.status = $3)
ORDER BY t.id OFFSET $4 LIMIT $5
