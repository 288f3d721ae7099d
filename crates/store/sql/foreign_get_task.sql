-- One task of a namespace, live or finished, for another driver: as get_task.sql, but without what only its holder may
-- know, and with times as text in UTC. No lock. Relies on: task_pkey, task_finished_id.
SELECT t.status, t.priority, t.traceparent, t.attempt, t.spared, t.retries, t.worker, t.payload::text,
    coalesce(t.result::text, CASE WHEN t.status = 3 THEN 'null' END) AS result,
    to_char(t.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at,
    to_char(t.delayed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS delayed_at,
    to_char(t.dies_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS dies_at,
    to_char(t.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS started_at,
    to_char(t.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS finished_at,
    to_char(t.lease_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS lease_until
FROM (SELECT * FROM pgmill.any_task_v1 WHERE id = $2 OFFSET 0) t
JOIN pgmill.queue q ON q.id = t.queue_id
WHERE q.ns = $1
