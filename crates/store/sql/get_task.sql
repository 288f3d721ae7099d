-- One task of a namespace, live or finished. OFFSET 0 keeps the look-up by id from being joined the other way round.
-- No lock. Relies on: task_pkey, task_finished_id.
SELECT q.ns, q.queue, t.id, t.status, t.priority, t.created_at, t.delayed_at, t.dies_at, t.started_at, t.finished_at,
    t.lease_until, t.holder, t.attempt, t.spared, t.retries, t.worker, t.key, t.payload::text, t.result::text, t.traceparent
FROM (SELECT * FROM pgmill.any_task_v1 WHERE id = $2 OFFSET 0) t
JOIN pgmill.queue q ON q.id = t.queue_id
WHERE q.ns = $1
