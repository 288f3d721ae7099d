-- How many tasks each queue of a namespace has in each status, by the counters: the tasks themselves are not read.
-- A task past dies_at counts under its stored state until the sweep has ended it. No lock.
SELECT q.queue, s.status::smallint, coalesce(sum(c.n), 0)::bigint AS count
FROM pgmill.queue q
CROSS JOIN generate_series(0, 6) AS s(status)
LEFT JOIN (
    SELECT queue_id, status, n FROM pgmill.task_count
    UNION ALL
    SELECT queue_id, status, n FROM pgmill.task_count_delta
) c ON c.queue_id = q.id AND c.status = s.status
WHERE q.ns = $1
GROUP BY q.queue, s.status
ORDER BY q.queue, s.status
