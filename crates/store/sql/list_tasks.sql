-- One page of the tasks of a namespace by (created_at, id), live and finished; of one queue ($2) and in one status ($3) where
-- these are given; those behind a place ($4, $5), without the first $6, and at most $7 (migrations/0020_list_tasks.sql).
-- No lock. Relies on: task_pkey, task_finished_id of the day that ended_at names.
SELECT q.ns, q.queue, t.id, t.status, t.priority, t.created_at, t.delayed_at, t.dies_at, t.started_at, t.finished_at,
    t.lease_until, t.holder, t.attempt, t.spared, t.retries, t.worker, t.key, t.payload::text, t.result::text, t.traceparent
FROM pgmill.list_tasks_v1($1, $2, $3, $4, $5, $6, $7) WITH ORDINALITY AS l(id, created_at, ended_at, ord)
CROSS JOIN LATERAL (
    SELECT * FROM pgmill.any_task_v1 v WHERE v.id = l.id AND v.ended_at IS NULL AND l.ended_at IS NULL
    UNION ALL
    SELECT * FROM pgmill.any_task_v1 v WHERE v.id = l.id AND v.ended_at = l.ended_at
    OFFSET 0
) t
CROSS JOIN LATERAL (SELECT * FROM pgmill.queue q WHERE q.id = t.queue_id OFFSET 0) q
ORDER BY l.ord
