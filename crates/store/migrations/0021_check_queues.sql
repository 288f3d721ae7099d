-- What an operator wants to know of each queue of all namespaces: how long tasks have waited in vain, whose leases lapsed long
-- ago, how often tasks fail, and whether anybody asks for them at all. A row a queue; durations are microseconds.
--
-- live, done, failed  tasks by the counters: those that wait or run, and those that ended yesterday or today
-- seen                whether there is any task or any history of one
-- paused              for how long it has been paused
-- waited              for how long the oldest task has been due that a worker could have
-- lapsed              for how long the lease has lapsed that did so first, and lapses, how many have
-- held                whether a worker holds a task under a lease that runs
-- asked               whether a process waits to be told of its tasks
-- ticked              whether a ticker makes tasks in it
-- keeps               whether tasks that are done leave a row: otherwise there is nothing to hold failures against
--
-- What it tells of leases is told of the first p_scan due tasks of each priority. For the oldest task that waits first_waiting_v1
-- walks on, past as many retained ones as workers hold, but no further than p_reach tasks. So what it costs does not depend on how
-- many tasks there are.
--
-- Caller: the checks of `pgmill doctor`. No lock. Relies on: queue_name, task_ready, first_waiting_v1; the counters, whose changes are read once for all
-- queues. The plan does not depend on statistics: see retain_v1.
CREATE FUNCTION pgmill.check_queues_v1(p_scan integer, p_reach integer) RETURNS TABLE (
    ns text, queue text, live bigint, done bigint, failed bigint, seen boolean, paused bigint, waited bigint,
    lapsed bigint, lapses bigint, held boolean, asked boolean, ticked boolean, keeps boolean
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET enable_mergejoin = off
SET enable_material = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH counted AS MATERIALIZED (
        SELECT c.queue_id,
            coalesce(sum(c.n) FILTER (WHERE c.status < 3), 0)::bigint AS live,
            coalesce(sum(c.n) FILTER (WHERE c.status = 3 AND c.day >= current_date - 1), 0)::bigint AS done,
            coalesce(sum(c.n) FILTER (WHERE c.status = 4 AND c.day >= current_date - 1), 0)::bigint AS failed,
            sum(c.n) > 0 AS seen
        FROM (
            SELECT t.queue_id, t.status, t.day, t.n FROM pgmill.task_count t
            UNION ALL
            SELECT d.queue_id, d.status, d.day, d.n FROM pgmill.task_count_delta d
        ) c
        GROUP BY c.queue_id
    ), looked AS MATERIALIZED (
        SELECT q.id,
            min(s.lease_until) FILTER (WHERE s.lease_until < now()) AS lapsed_at,
            count(*) FILTER (WHERE s.lease_until < now()) AS lapses,
            bool_or(s.lease_until >= now()) AS held
        FROM pgmill.queue q
        CROSS JOIN generate_series(0, 9) AS p(priority)
        CROSS JOIN LATERAL (
            SELECT t.lease_until
            FROM pgmill.task t
            WHERE t.queue_id = q.id AND t.priority = p.priority::smallint AND t.run_at <= now()
            ORDER BY t.run_at, t.id + 0
            LIMIT p_scan
        ) s
        GROUP BY q.id
    ), waiting AS MATERIALIZED (
        SELECT q.id, min(d.run_at) AS since
        FROM pgmill.queue q
        CROSS JOIN LATERAL pgmill.first_waiting_v1(q.id, p_reach) d
        GROUP BY q.id
    )
    SELECT q.ns, q.queue, coalesce(c.live, 0), coalesce(c.done, 0), coalesce(c.failed, 0), coalesce(c.seen, false),
        (extract(epoch FROM now() - q.paused_at) * 1000000)::bigint,
        (extract(epoch FROM now() - d.since) * 1000000)::bigint,
        (extract(epoch FROM now() - l.lapsed_at) * 1000000)::bigint,
        coalesce(l.lapses, 0), coalesce(l.held, false),
        EXISTS (SELECT FROM pgmill.waiter w
            WHERE w.ns = q.ns AND w.queue IN (q.queue, '') AND w.until > now()),
        EXISTS (SELECT FROM pgmill.ticker t WHERE t.ns = q.ns AND t.queue = q.queue),
        q.retention > 0
    FROM pgmill.queue q
    LEFT JOIN counted c ON c.queue_id = q.id
    LEFT JOIN looked l ON l.id = q.id
    LEFT JOIN waiting d ON d.id = q.id
    ORDER BY q.ns, q.queue;
END
$$;
