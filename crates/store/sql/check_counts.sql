-- Where the counters are not what the tables hold: a row for each queue and stored state. Both are seen at one moment, so it is
-- true under load as well. What deleted queues leave is not counted.
-- Reads all tasks and all history: only where it is asked for. Caller: `pgmill doctor --recount`. No lock. No index: it reads
-- every row.
SELECT q.ns || '/' || q.queue AS name, c.status::smallint AS status, sum(c.counted)::bigint AS counted, sum(c.held)::bigint AS held
FROM (
    SELECT queue_id, status, n AS counted, 0 AS held FROM pgmill.task_count
    UNION ALL
    SELECT queue_id, status, n, 0 FROM pgmill.task_count_delta
    UNION ALL
    SELECT queue_id, status, 0, count(*) FROM pgmill.task_finished GROUP BY queue_id, status
    UNION ALL
    SELECT t.queue_id, CASE WHEN t.lease_until IS NOT NULL THEN 2 WHEN t.attempt > coalesce(t.spared, 0) THEN 1 ELSE 0 END, 0, count(*)
    FROM pgmill.task t
    GROUP BY 1, 2
) c
JOIN pgmill.queue q ON q.id = c.queue_id
GROUP BY q.ns, q.queue, c.status
HAVING sum(c.counted) <> sum(c.held)
ORDER BY 1, 2
