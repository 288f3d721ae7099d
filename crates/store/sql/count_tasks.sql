-- How many tasks of a namespace there are, of one queue ($2) and in one status ($3) where these are given, by the
-- counters. No lock.
SELECT coalesce(sum(c.n), 0)::bigint AS count
FROM (
    SELECT queue_id, status, n FROM pgmill.task_count
    UNION ALL
    SELECT queue_id, status, n FROM pgmill.task_count_delta
) c
JOIN pgmill.queue q ON q.id = c.queue_id
WHERE q.ns = $1 AND ($2::text IS NULL OR q.queue = $2) AND ($3::smallint IS NULL OR c.status = $3)
