-- Retains tasks for several callers at once and deals them out. One call is one flight of the retain batcher.
--
-- A demand is a set of queues (or every queue of a namespace) with the callers who wait for a task of it. Demands are
-- served one after the other: a row taken for the first is seen as taken by the next, which SKIP LOCKED alone would not
-- do for locks of the same transaction.
--
-- p_demand_ns      the namespace of each demand
-- p_demand_any     whether the demand is for every queue of its namespace
-- p_member_demand, p_member_queue   the queues of the other demands (demand number from 1, name)
-- p_caller_demand, p_caller_want, p_caller_worker, p_caller_lease, p_caller_fenced   who waits: for which demand, how many
--                  tasks, under which name, for how many microseconds (null: the queue's lease), and whether its tasks may
--                  be released only by who knows their holder
-- p_floor_queue, p_floor_priority, p_floor_at, p_floor_id   where to start looking: nothing before it was left by this
--                  process; at most one for a queue and priority, in ascending order of both
-- p_holder         the new holder of everything retained by this call: even, and never used before. What is retained for a
--                  fenced caller has the odd number after it: so a release tells the two apart, and no column is needed
-- p_lost           holders, of both kinds, of earlier calls of this process whose answer was lost: nobody knows of what they retained, so
--                  it is due again at once, and the attempt is spared
--
-- A task is due if run_at has come, dies_at has not, attempts are left, and no lease is running. Candidates are picked
-- without a lock in the order priority, run_at, id; some more than wanted, so that another process that picked the same
-- ones does not leave this one empty-handed; then locked one by one with SKIP LOCKED until the demand is met, their
-- conditions checked again on the version that was locked. Fewer tasks than wanted prove nothing about the queue.
--
-- Of a queue, only the priorities from the first to the last that it has are gone through: most have one, and there may be
-- thousands of queues. With floors they all are, for the ends of the queue may be what is slow then.
--
-- A lease that was given before the server was started does not count as lapsed until the server has run for 30 seconds, the
-- lease of a worker pool: those who hold it could not extend it meanwhile, and may still be at work.
--
-- The commit does not wait for the disk: a retain that is lost in a crash leaves its task due. The holder then tells the
-- next retain of the same attempt from this one.
--
-- The plan does not depend on statistics: a look-up stands in a LATERAL subquery that cannot be flattened (OFFSET 0, FOR
-- UPDATE), so that it cannot become the outer side of its join; and with sequential scans off there is no way to a ctid
-- but by the ctid.
--
-- Locks: the rows it retains. Never waits. Relies on: task_ready.
CREATE FUNCTION pgmill.retain_v1(
    p_demand_ns text[], p_demand_any boolean[],
    p_member_demand integer[], p_member_queue text[],
    p_caller_demand integer[], p_caller_want integer[], p_caller_worker text[], p_caller_lease bigint[],
    p_caller_fenced boolean[],
    p_floor_queue integer[], p_floor_priority smallint[], p_floor_at timestamptz[], p_floor_id bigint[],
    p_holder bigint, p_lost bigint[]
) RETURNS TABLE (
    caller integer, id bigint, queue_id integer, queue text, priority smallint,
    created_at timestamptz, run_at timestamptz, dies_at timestamptz, started_at timestamptz, lease_until timestamptz,
    attempt integer, spared integer, retries integer, payload json, key text, traceparent text
)
LANGUAGE plpgsql
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
DECLARE
    v_demand integer;
    -- The caller of the first task, of the second, and so on.
    v_seats integer[];
    v_want integer;
    v_floors boolean := cardinality(p_floor_queue) > 0;
    -- Queue and priority of each floor as one number, in which one is found without looking at all: there may be thousands.
    v_floor_keys bigint[] := ARRAY(
        SELECT 10::bigint * f.queue_id + f.priority FROM unnest(p_floor_queue, p_floor_priority) AS f(queue_id, priority));
    -- Leases that began before it have not lapsed, whatever they say.
    v_amnesty timestamptz := CASE WHEN now() < pg_postmaster_start_time() + interval '30 s'
        THEN pg_postmaster_start_time() ELSE '-infinity' END;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    FOR v_demand IN 1 .. cardinality(p_demand_ns) LOOP
        v_seats := ARRAY(SELECT c.caller FROM unnest(p_caller_demand, p_caller_want)
                WITH ORDINALITY AS c(demand, want, caller)
            CROSS JOIN generate_series(1, c.want)
            WHERE c.demand = v_demand);
        v_want := cardinality(v_seats);
        RETURN QUERY
        WITH member AS MATERIALIZED (
            SELECT q.id, q.queue, q.lease
            FROM pgmill.queue q
            WHERE p_demand_any[v_demand] AND q.ns = p_demand_ns[v_demand] AND q.paused_at IS NULL
            UNION ALL
            SELECT q.id, q.queue, q.lease
            FROM unnest(p_member_demand, p_member_queue) AS m(demand, queue)
            CROSS JOIN LATERAL (
                SELECT * FROM pgmill.queue q WHERE q.ns = p_demand_ns[v_demand] AND q.queue = m.queue OFFSET 0
            ) q
            WHERE m.demand = v_demand AND q.paused_at IS NULL
        ), candidate AS MATERIALIZED (
            SELECT due.*, m.queue, m.lease
            FROM member m
            CROSS JOIN LATERAL (
                SELECT
                    CASE WHEN v_floors THEN 0 ELSE (
                        SELECT t.priority FROM pgmill.task t WHERE t.queue_id = m.id ORDER BY t.priority LIMIT 1) END AS first,
                    CASE WHEN v_floors THEN 9 ELSE (
                        SELECT t.priority FROM pgmill.task t WHERE t.queue_id = m.id ORDER BY t.priority DESC LIMIT 1) END AS last
                OFFSET 0
            ) r
            CROSS JOIN LATERAL (
                SELECT p.priority, width_bucket(10::bigint * m.id + p.priority, v_floor_keys) AS floor
                FROM generate_series(r.first, r.last) AS p(priority)
                OFFSET 0
            ) p
            CROSS JOIN LATERAL (
                SELECT t.ctid AS tid, t.priority, t.run_at, t.id
                FROM pgmill.task t
                WHERE t.queue_id = m.id AND t.priority = p.priority::smallint
                    AND (t.run_at, t.id + 0) >= (
                        CASE WHEN v_floor_keys[p.floor] = 10::bigint * m.id + p.priority
                            THEN p_floor_at[p.floor] ELSE '-infinity' END,
                        CASE WHEN v_floor_keys[p.floor] = 10::bigint * m.id + p.priority THEN p_floor_id[p.floor] ELSE 0 END)
                    AND t.run_at <= now()
                    AND (t.dies_at IS NULL OR t.dies_at > now())
                    AND (((t.lease_until IS NULL OR (t.lease_until < now() AND t.started_at >= v_amnesty))
                            AND t.attempt - coalesce(t.spared, 0) < t.retries)
                        OR (t.lease_until IS NOT NULL AND t.holder = ANY (p_lost)))
                ORDER BY t.run_at, t.id + 0
                LIMIT v_want + v_want / 4 + 16
            ) due
            ORDER BY due.priority, due.run_at, due.id
            LIMIT v_want + v_want / 4 + 16
        ), locked AS MATERIALIZED (
            SELECT l.*, c.queue, c.lease
            FROM candidate c
            CROSS JOIN LATERAL (
                SELECT t.ctid AS tid, t.lease_until, t.started_at, t.worker,
                    (t.lease_until IS NOT NULL AND t.holder = ANY (p_lost)) AS lost
                FROM pgmill.task t
                WHERE t.ctid = c.tid AND t.run_at <= now()
                    AND (t.dies_at IS NULL OR t.dies_at > now())
                    AND (((t.lease_until IS NULL OR (t.lease_until < now() AND t.started_at >= v_amnesty))
                            AND t.attempt - coalesce(t.spared, 0) < t.retries)
                        OR (t.lease_until IS NOT NULL AND t.holder = ANY (p_lost)))
                FOR UPDATE SKIP LOCKED
            ) l
            LIMIT v_want
        ), dealt AS MATERIALIZED (
            SELECT locked.*, v_seats[row_number() OVER ()] AS caller FROM locked
        ), taken AS (
            UPDATE pgmill.task t
            SET attempt = t.attempt + 1, holder = p_holder + p_caller_fenced[d.caller]::integer,
                worker = p_caller_worker[d.caller], started_at = now(),
                spared = CASE WHEN d.lost THEN coalesce(t.spared, 0) + 1 ELSE t.spared END,
                lease_until = least(now() + coalesce(p_caller_lease[d.caller], d.lease) * interval '1 microsecond', t.dies_at)
            FROM dealt d
            WHERE t.ctid = d.tid
            RETURNING d.caller, t.id, t.queue_id, d.queue, t.priority, t.created_at, t.run_at, t.dies_at,
                t.started_at, t.lease_until, t.attempt, coalesce(t.spared, 0) AS spared, t.retries, t.payload, t.key, t.traceparent,
                d.lease_until AS lapsed_at, d.started_at AS lapsed_start, d.worker AS lapsed_worker, d.lost
        ), lapsed AS (
            INSERT INTO pgmill.task_attempt (id, queue_id, attempt, started_at, ended_at, outcome, worker)
            SELECT k.id, k.queue_id, k.attempt - 1, k.lapsed_start, now(), 2, k.lapsed_worker
            FROM taken k WHERE k.lapsed_at IS NOT NULL AND NOT k.lost
        ), counted AS (
            INSERT INTO pgmill.task_count_delta (queue_id, status, day, n)
            SELECT c.queue_id, s.status, '-infinity', s.n
            FROM (
                SELECT k.queue_id, count(*) AS n, count(*) FILTER (WHERE k.attempt - 1 = k.spared) AS first
                FROM taken k
                WHERE k.lapsed_at IS NULL
                GROUP BY k.queue_id
            ) c
            CROSS JOIN LATERAL (VALUES (0, -c.first), (1, c.first - c.n), (2, c.n)) AS s(status, n)
            WHERE s.n <> 0
        )
        SELECT k.caller, k.id, k.queue_id, k.queue, k.priority, k.created_at, k.run_at, k.dies_at,
            k.started_at, k.lease_until, k.attempt, k.spared, k.retries, k.payload, k.key, k.traceparent
        FROM taken k;
    END LOOP;
END
$$;
