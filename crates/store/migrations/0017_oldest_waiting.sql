-- When the first task of each priority became due that waits in a queue: that nobody holds, and that may still be retained.
--
-- Of each priority it walks the tasks that are due, in their order, and stops at the first that waits: mostly that is the very
-- first, and else it is behind as many as workers hold. It walks no further than p_reach tasks, so that it costs no more than that
-- whatever stands there.
--
-- Callers: oldest_waiting_v1, check_queues_v1, into whose plans it is expanded: hence no settings of its own. No lock. Relies on:
-- task_ready.
CREATE FUNCTION pgmill.first_waiting_v1(p_queue_id bigint, p_reach integer) RETURNS TABLE (run_at timestamptz)
LANGUAGE sql
STABLE
AS $$
    SELECT d.run_at
    FROM generate_series(0, 9) AS p(priority)
    CROSS JOIN LATERAL (
        SELECT s.run_at
        FROM (
            SELECT t.run_at,
                (t.lease_until IS NULL OR t.lease_until < now()) AND t.attempt - coalesce(t.spared, 0) < t.retries
                    AND (t.dies_at IS NULL OR t.dies_at > now()) AS waits
            FROM pgmill.task t
            WHERE t.queue_id = p_queue_id AND t.priority = p.priority::smallint AND t.run_at <= now()
            ORDER BY t.run_at, t.id + 0
            LIMIT p_reach
        ) s
        WHERE s.waits
        LIMIT 1
    ) d
$$;

-- For how long, in microseconds, the oldest task that could be retained has been due, in each queue of a namespace that has
-- one. A paused queue's tasks wait too. It looks at no more than p_scan tasks of each priority of a queue.
--
-- No lock. Relies on: queue_name, first_waiting_v1. The plan does not depend on statistics: see retain_v1.
CREATE FUNCTION pgmill.oldest_waiting_v1(p_ns text, p_scan integer) RETURNS TABLE (queue text, waited bigint)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_material = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT q.queue, (extract(epoch FROM now() - min(d.run_at)) * 1000000)::bigint
    FROM pgmill.queue q
    CROSS JOIN LATERAL pgmill.first_waiting_v1(q.id, p_scan) d
    WHERE q.ns = p_ns
    GROUP BY q.queue
    ORDER BY q.queue;
END
$$;
