-- Where the first so many tasks of a namespace are that are due, in the order priority, run_at, id: for namespaces of many
-- queues, of which few have tasks, or many more than are wanted. retain_v1 calls it.
--
-- p_ns, p_count    the namespace, and how many tasks
-- p_floor_queue, p_floor_priority, p_floor_at, p_floor_id, p_lost   as in retain_v1
-- p_amnesty        leases that began before it have not lapsed
-- queues           all queues that hold them, none of which is paused
-- last_priority, last_at, last_id   nothing behind this place is among them; null where all that is due is
--
-- The tasks of one queue and priority are a stream, which task_ready has in order. Streams are found by hopping over the index
-- from each to the next, so that a queue without tasks costs nothing, and each tells its head, the first task that is due. As
-- many streams as tasks are wanted, those whose heads come first, hold all of the first tasks, none of which comes behind the
-- last of these heads.
--
--   task_ready:  q1·5 ▮▮▮▮ q1·7 ▮▮ q4·5 ▮▮▮▮▮▮▮▮ q9·0 ▮ q9·5 ▮▮▮
--                     └────────▶└───────▶└──────────────▶└────▶
--
-- A step of a recursive query costs more than the look it takes. So there are places from which hops go on at a time, each as
-- far as to the next place: 32, spread over the ids of all queues. Each floor is a place as well, from whose stream hops go on
-- to the one behind it: what is dead left of a floor is never met. Streams of other namespaces are met too, for no index leads
-- from one queue of a namespace to the next by id, and one that did would also be there to be chosen for look-ups by name. But
-- what is retained at their beginning is not walked.
--
-- The plan does not depend on statistics: see retain_v1.
--
-- Locks: none. Relies on: task_ready, queue_pkey.
CREATE FUNCTION pgmill.first_queues_v1(
    p_ns text, p_count integer,
    p_floor_queue integer[], p_floor_priority smallint[], p_floor_at timestamptz[], p_floor_id bigint[],
    p_lost bigint[], p_amnesty timestamptz,
    OUT queues integer[], OUT last_priority smallint, OUT last_at timestamptz, OUT last_id bigint
)
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
        WITH RECURSIVE place AS MATERIALIZED (
            SELECT p.queue_id, p.priority, p.at, p.id,
                lead(p.queue_id, 1, 2147483647) OVER w AS until_queue,
                lead(p.priority, 1, 10::smallint) OVER w AS until_priority
            FROM (
                SELECT (e.first + (e.last - e.first + 1) * n.n / 32)::integer AS queue_id, (-1)::smallint AS priority,
                    NULL::timestamptz AS at, NULL::bigint AS id
                FROM (SELECT min(q.id)::bigint AS first, max(q.id)::bigint AS last FROM pgmill.queue q) e
                CROSS JOIN generate_series(0, 31) AS n(n)
                UNION ALL
                SELECT f.queue_id, f.priority, f.at, f.id
                FROM unnest(p_floor_queue, p_floor_priority, p_floor_at, p_floor_id) AS f(queue_id, priority, at, id)
            ) p
            WINDOW w AS (ORDER BY p.queue_id, p.priority)
        ), stream AS (
            -- A place that is a floor is a stream itself. Of the others the first task is told that there is, due or not.
            SELECT p.queue_id, p.priority, p.until_queue, p.until_priority, p.at, p.id, false AS is_due
            FROM place p
            UNION ALL
            SELECT n.queue_id, n.priority, s.until_queue, s.until_priority, n.run_at, n.id, n.is_due
            FROM stream s
            CROSS JOIN LATERAL (
                SELECT t.queue_id, t.priority, t.run_at, t.id,
                    t.run_at <= now()
                        AND (t.dies_at IS NULL OR t.dies_at > now())
                        AND (((t.lease_until IS NULL OR (t.lease_until < now() AND t.started_at >= p_amnesty))
                                AND t.attempt - coalesce(t.spared, 0) < t.retries)
                            OR (t.lease_until IS NOT NULL AND t.holder = ANY (p_lost))) AS is_due
                FROM pgmill.task t
                WHERE (t.queue_id, t.priority) > (s.queue_id, s.priority)
                    AND (t.queue_id, t.priority) < (s.until_queue, s.until_priority)
                ORDER BY t.queue_id, t.priority, t.run_at, t.id + 0
                LIMIT 1
            ) n
        ), head AS (
            SELECT s.queue_id, s.priority, d.run_at, d.id
            FROM stream s
            CROSS JOIN LATERAL (
                SELECT s.at AS run_at, s.id WHERE s.is_due
                UNION ALL
                (SELECT t.run_at, t.id
                FROM pgmill.task t
                WHERE NOT s.is_due AND s.at <= now()
                    AND EXISTS (
                        SELECT FROM pgmill.queue q WHERE q.id = s.queue_id AND q.ns = p_ns AND q.paused_at IS NULL OFFSET 0)
                    AND t.queue_id = s.queue_id AND t.priority = s.priority
                    AND (t.run_at, t.id + 0) >= (s.at, s.id)
                    AND t.run_at <= now()
                    AND (t.dies_at IS NULL OR t.dies_at > now())
                    AND (((t.lease_until IS NULL OR (t.lease_until < now() AND t.started_at >= p_amnesty))
                            AND t.attempt - coalesce(t.spared, 0) < t.retries)
                        OR (t.lease_until IS NOT NULL AND t.holder = ANY (p_lost)))
                ORDER BY t.run_at, t.id + 0
                LIMIT 1)
            ) d
            ORDER BY s.priority, d.run_at, d.id
            OFFSET 0
        ), first AS MATERIALIZED (
            SELECT h.*
            FROM head h
            CROSS JOIN LATERAL (SELECT * FROM pgmill.queue q WHERE q.id = h.queue_id OFFSET 0) q
            WHERE q.ns = p_ns AND q.paused_at IS NULL
            LIMIT p_count
        )
        SELECT ARRAY(SELECT DISTINCT f.queue_id FROM first f), l.priority, l.run_at, l.id
        INTO queues, last_priority, last_at, last_id
        FROM (VALUES (true)) AS one
        LEFT JOIN (SELECT f.* FROM first f OFFSET p_count - 1) l ON true;
END
$$;

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
-- a hundred queues. With floors they all are, for the ends of the queue may be what is slow then. A demand for every queue of a
-- namespace that has more than a hundred, and about an eighth of all in the database, looks only where first_queues_v1 leads.
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
-- Locks: the rows it retains. Never waits. Relies on: task_ready, queue_name, queue_pkey.
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
    -- How many candidates are picked.
    v_picks integer;
    -- Whether the queues are too many to be looked into one by one; those that are then, and how far.
    v_many boolean;
    v_first integer[];
    v_last_priority smallint;
    v_last_at timestamptz;
    v_last_id bigint;
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
        v_picks := v_want + v_want / 4 + 16;
        v_many := false;
        v_first := NULL;
        v_last_priority := NULL;
        IF p_demand_any[v_demand] AND v_want > 0 THEN
            v_many := EXISTS (SELECT FROM pgmill.queue q WHERE q.ns = p_demand_ns[v_demand] OFFSET 100);
            IF v_many THEN
                v_many := EXISTS (
                    SELECT FROM pgmill.queue q WHERE q.ns = p_demand_ns[v_demand]
                    OFFSET (SELECT (max(q.id)::bigint - min(q.id)) / 8 FROM pgmill.queue q));
            END IF;
        END IF;
        IF v_many THEN
            SELECT f.queues, f.last_priority, f.last_at, f.last_id
            INTO v_first, v_last_priority, v_last_at, v_last_id
            FROM pgmill.first_queues_v1(p_demand_ns[v_demand], v_picks,
                p_floor_queue, p_floor_priority, p_floor_at, p_floor_id, p_lost, v_amnesty) f;
        END IF;
        RETURN QUERY
        WITH member AS MATERIALIZED (
            SELECT q.id, q.queue, q.lease
            FROM pgmill.queue q
            WHERE p_demand_any[v_demand] AND NOT v_many AND q.ns = p_demand_ns[v_demand] AND q.paused_at IS NULL
            UNION ALL
            SELECT q.id, q.queue, q.lease
            FROM unnest(v_first) AS f(id)
            CROSS JOIN LATERAL (SELECT * FROM pgmill.queue q WHERE q.id = f.id OFFSET 0) q
            WHERE q.paused_at IS NULL
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
                FROM generate_series(r.first, least(r.last, v_last_priority)) AS p(priority)
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
                    AND (t.run_at, t.id + 0) <= (
                        CASE WHEN p.priority = v_last_priority THEN v_last_at ELSE 'infinity' END,
                        CASE WHEN p.priority = v_last_priority THEN v_last_id ELSE 9223372036854775807 END)
                    AND t.run_at <= now()
                    AND (t.dies_at IS NULL OR t.dies_at > now())
                    AND (((t.lease_until IS NULL OR (t.lease_until < now() AND t.started_at >= v_amnesty))
                            AND t.attempt - coalesce(t.spared, 0) < t.retries)
                        OR (t.lease_until IS NOT NULL AND t.holder = ANY (p_lost)))
                ORDER BY t.run_at, t.id + 0
                LIMIT v_picks
            ) due
            ORDER BY due.priority, due.run_at, due.id
            LIMIT v_picks
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
