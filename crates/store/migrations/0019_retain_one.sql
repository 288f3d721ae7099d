-- Retains tasks of one queue: what most retains are. One call is one flight of the retain batcher, as of retain_v1, which
-- does the same for any demand; this takes half its time.
--
-- p_ns, p_queue    the queue
-- p_caller_want, p_caller_worker, p_caller_lease, p_caller_fenced   who waits, as in retain_v1
-- p_floor_queue, p_floor_priority, p_floor_at, p_floor_id   where to start looking, likewise
-- p_holder, p_lost as in retain_v1
--
-- A task is due on the conditions of retain_v1. The index has the tasks of one queue and priority in the order that they are
-- dealt out in, so none needs to be picked before it is locked: the priorities are gone through one after the other, and each
-- task that is come upon is locked with SKIP LOCKED, its conditions checked again on the version that was locked, until there
-- are enough. Fewer tasks than wanted prove nothing about the queue.
--
-- The commit does not wait for the disk, and the plan does not depend on statistics: see retain_v1.
--
-- Locks: the rows it retains. Never waits. Relies on: task_ready, queue_name.
CREATE FUNCTION pgmill.retain_one_v1(
    p_ns text, p_queue text,
    p_caller_want integer[], p_caller_worker text[], p_caller_lease bigint[], p_caller_fenced boolean[],
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
    v_queue_id integer;
    v_lease bigint;
    -- The caller of the first task, of the second, and so on.
    v_seats integer[];
    v_want integer;
    v_amnesty timestamptz := CASE WHEN now() < pg_postmaster_start_time() + interval '30 s'
        THEN pg_postmaster_start_time() ELSE '-infinity' END;
BEGIN
    SELECT q.id, q.lease INTO v_queue_id, v_lease
    FROM pgmill.queue q
    WHERE q.ns = p_ns AND q.queue = p_queue AND q.paused_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
    v_seats := ARRAY(SELECT c.caller FROM unnest(p_caller_want) WITH ORDINALITY AS c(want, caller)
        CROSS JOIN generate_series(1, c.want));
    v_want := cardinality(v_seats);
    RETURN QUERY
    WITH locked AS MATERIALIZED (
        SELECT due.*
        FROM generate_series(0, 9) AS p(priority)
        CROSS JOIN LATERAL (
            SELECT t.ctid AS tid, t.lease_until, t.started_at, t.worker,
                (t.lease_until IS NOT NULL AND t.holder = ANY (p_lost)) AS lost
            FROM pgmill.task t
            WHERE t.queue_id = v_queue_id AND t.priority = p.priority::smallint
                AND (t.run_at, t.id + 0) >= (
                    coalesce((
                        SELECT f.at FROM unnest(p_floor_queue, p_floor_priority, p_floor_at) AS f(queue_id, priority, at)
                        WHERE f.queue_id = v_queue_id AND f.priority = p.priority LIMIT 1), '-infinity'),
                    coalesce((
                        SELECT f.id FROM unnest(p_floor_queue, p_floor_priority, p_floor_id) AS f(queue_id, priority, id)
                        WHERE f.queue_id = v_queue_id AND f.priority = p.priority LIMIT 1), 0))
                AND t.run_at <= now()
                AND (t.dies_at IS NULL OR t.dies_at > now())
                AND (((t.lease_until IS NULL OR (t.lease_until < now() AND t.started_at >= v_amnesty))
                        AND t.attempt - coalesce(t.spared, 0) < t.retries)
                    OR (t.lease_until IS NOT NULL AND t.holder = ANY (p_lost)))
            ORDER BY t.run_at, t.id + 0
            FOR UPDATE SKIP LOCKED
        ) due
        LIMIT v_want
    ), dealt AS MATERIALIZED (
        SELECT locked.*, v_seats[row_number() OVER ()] AS caller FROM locked
    ), taken AS (
        UPDATE pgmill.task t
        SET attempt = t.attempt + 1, holder = p_holder + p_caller_fenced[d.caller]::integer,
            worker = p_caller_worker[d.caller], started_at = now(),
            spared = CASE WHEN d.lost THEN coalesce(t.spared, 0) + 1 ELSE t.spared END,
            lease_until = least(now() + coalesce(p_caller_lease[d.caller], v_lease) * interval '1 microsecond', t.dies_at)
        FROM dealt d
        WHERE t.ctid = d.tid
        RETURNING d.caller, t.id, t.priority, t.created_at, t.run_at, t.dies_at,
            t.started_at, t.lease_until, t.attempt, coalesce(t.spared, 0) AS spared, t.retries, t.payload, t.key, t.traceparent,
            d.lease_until AS lapsed_at, d.started_at AS lapsed_start, d.worker AS lapsed_worker, d.lost
    ), lapsed AS (
        INSERT INTO pgmill.task_attempt (id, queue_id, attempt, started_at, ended_at, outcome, worker)
        SELECT k.id, v_queue_id, k.attempt - 1, k.lapsed_start, now(), 2, k.lapsed_worker
        FROM taken k WHERE k.lapsed_at IS NOT NULL AND NOT k.lost
    ), counted AS (
        INSERT INTO pgmill.task_count_delta (queue_id, status, day, n)
        SELECT v_queue_id, s.status, '-infinity', s.n
        FROM (
            SELECT count(*) AS n, count(*) FILTER (WHERE k.attempt - 1 = k.spared) AS first
            FROM taken k
            WHERE k.lapsed_at IS NULL
        ) c
        CROSS JOIN LATERAL (VALUES (0, -c.first), (1, c.first - c.n), (2, c.n)) AS s(status, n)
        WHERE s.n <> 0
    )
    SELECT k.caller, k.id, v_queue_id, p_queue, k.priority, k.created_at, k.run_at, k.dies_at,
        k.started_at, k.lease_until, k.attempt, k.spared, k.retries, k.payload, k.key, k.traceparent
    FROM taken k;
END
$$;
