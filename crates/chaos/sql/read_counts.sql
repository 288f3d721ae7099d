-- How many tasks of each queue and stored status the counters tell, and how many there are. Run by the checker, when
-- everything has stopped.
--
-- Locks: none. Relies on: no index; all is read.
WITH told AS (
    SELECT c.queue_id, c.status, sum(c.n)::bigint AS n
    FROM (
        SELECT t.queue_id, t.status, t.n FROM pgmill.task_count t
        UNION ALL
        SELECT d.queue_id, d.status, d.n FROM pgmill.task_count_delta d
    ) c
    GROUP BY c.queue_id, c.status
), found AS (
    SELECT c.queue_id, c.status, count(*) AS n
    FROM (
        SELECT t.queue_id,
            (CASE WHEN t.lease_until IS NOT NULL THEN 2 WHEN t.attempt = coalesce(t.spared, 0) THEN 0 ELSE 1 END)::smallint AS status
        FROM pgmill.task t
        UNION ALL
        SELECT f.queue_id, f.status FROM pgmill.task_finished f
    ) c
    GROUP BY c.queue_id, c.status
)
SELECT q.queue, c.status, coalesce(told.n, 0), coalesce(found.n, 0)
FROM pgmill.queue q
CROSS JOIN unnest('{0, 1, 2, 3, 4, 5, 6}'::smallint[]) AS c(status)
LEFT JOIN told ON told.queue_id = q.id AND told.status = c.status
LEFT JOIN found ON found.queue_id = q.id AND found.status = c.status
