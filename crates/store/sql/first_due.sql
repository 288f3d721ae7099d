-- Whether the task that waits in these queues ($2; none: every queue of the namespace $1) and comes first by time is due.
-- With $3 one that is not is made due. For tests that drain a queue as if the pauses in it were over, one after the other.
-- Paused queues do not count, nor do tasks that have expired or that somebody else has locked.
-- Locks: the first that it finds of each queue and priority. Never waits. Relies on: task_ready, of which it passes over what
-- is retained.
WITH first AS MATERIALIZED (
    SELECT f.id, f.run_at
    FROM pgmill.queue q
    CROSS JOIN generate_series(0, 9) AS p(priority)
    CROSS JOIN LATERAL (
        SELECT t.id, t.run_at
        FROM pgmill.task t
        WHERE t.queue_id = q.id AND t.priority = p.priority::smallint
            AND t.lease_until IS NULL AND t.attempt - coalesce(t.spared, 0) < t.retries
            AND (t.dies_at IS NULL OR t.dies_at > now())
        ORDER BY t.run_at, t.id + 0
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    ) f
    WHERE q.ns = $1 AND (cardinality($2) = 0 OR q.queue = ANY ($2)) AND q.paused_at IS NULL
    ORDER BY f.run_at, f.id
    LIMIT 1
), hastened AS (
    UPDATE pgmill.task t SET run_at = now()
    FROM first WHERE t.id = first.id AND first.run_at > now() AND $3
)
SELECT first.run_at <= now() OR $3 AS due FROM first
