-- Removes finished tasks of a queue, oldest first, and answers them (migrations/0010_delete_queue.sql).
SELECT $1 AS ns, $2 AS queue, f.id, f.status, f.priority, f.created_at,
    f.delayed_at, f.dies_at,
    CASE WHEN f.status = 3 THEN f.started_at END AS started_at,
    CASE WHEN f.status = 3 THEN f.finished_at END AS finished_at,
    NULL::timestamptz AS lease_until, NULL::bigint AS holder, f.attempt, coalesce(f.spared, 0) AS spared, f.retries, f.worker, f.key,
    f.payload::text, f.result::text, f.traceparent
FROM pgmill.clean_queue_v1($1, $2, $3) f
