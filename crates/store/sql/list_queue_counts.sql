-- How many tasks the queues of a namespace ($1) have in each status, a row a queue, by name; of one queue ($2) where that is
-- given; and how many queues there are before offset and limit. By the counters: the tasks themselves are not read.
-- A task past dies_at counts under its stored state until the sweep has ended it. No lock. Relies on: queue_name.
WITH page AS MATERIALIZED (
    SELECT q.id, q.queue, q.paused_at
    FROM pgmill.queue q
    WHERE q.ns = $1 AND ($2::text IS NULL OR q.queue = $2)
    ORDER BY q.queue OFFSET $3 LIMIT $4
), counted AS (
    SELECT c.queue_id, c.status, sum(c.n) AS n
    FROM (
        SELECT queue_id, status, n FROM pgmill.task_count
        UNION ALL
        SELECT queue_id, status, n FROM pgmill.task_count_delta
    ) c
    WHERE c.queue_id IN (SELECT p.id FROM page p)
    GROUP BY c.queue_id, c.status
)
SELECT a.count, p.queue, p.paused_at,
    coalesce(sum(c.n) FILTER (WHERE c.status = 0), 0)::bigint AS new,
    coalesce(sum(c.n) FILTER (WHERE c.status = 1), 0)::bigint AS retry,
    coalesce(sum(c.n) FILTER (WHERE c.status = 2), 0)::bigint AS retained,
    coalesce(sum(c.n) FILTER (WHERE c.status = 3), 0)::bigint AS released,
    coalesce(sum(c.n) FILTER (WHERE c.status = 4), 0)::bigint AS failed,
    coalesce(sum(c.n) FILTER (WHERE c.status = 5), 0)::bigint AS expired,
    coalesce(sum(c.n) FILTER (WHERE c.status = 6), 0)::bigint AS cancelled
FROM (SELECT count(*) FROM pgmill.queue WHERE ns = $1) AS a(count)
LEFT JOIN page p ON true
LEFT JOIN counted c ON c.queue_id = p.id
GROUP BY a.count, p.queue, p.paused_at
ORDER BY p.queue
