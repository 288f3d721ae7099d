-- Ends attempts that are done, of tasks that their caller has in hand: what most releases are. One call is the first part of
-- a flight of the release batcher. What release_v1 does for every case, this does for one, in half the time: nothing is
-- locked before it is deleted, nothing is looked up for each task, and what the caller knows is not told again.
--
-- p_ns             the namespace of all of them
-- p_id             ascending, so that locks are taken in one order everywhere
-- p_attempt, p_holder   the fence: what the retain answered
-- p_result         may be null
--
-- Answers one row: when the attempts ended, and which entries were released (their numbers, from 1, in no order). What
-- became of the others is for release_v1 to tell.
--
-- It does all or nothing. Where a row is locked by somebody else for more than the lock_timeout (55P03), or a task turns out
-- to be of another namespace or of a queue that is gone (23000), nothing has changed, and release_v1 does what can be done.
--
-- The plan does not depend on statistics: see retain_v1. Sets of queues are looked up in a hashed subplan (IS TRUE keeps it
-- one), so that a batch over many queues costs no more than one over a single queue.
--
-- Locks: the rows, in id order. Waits for a foreign lock at most lock_timeout. Relies on: task_pkey.
CREATE FUNCTION pgmill.release_done_v1(
    p_ns text, p_id bigint[], p_attempt integer[], p_holder bigint[], p_result text[],
    OUT ended_at timestamptz, OUT released integer[]
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
SET lock_timeout = '20ms'
AS $$
#variable_conflict use_column
DECLARE
    v_strange boolean;
BEGIN
    ended_at := now();
    WITH held AS MATERIALIZED (
        SELECT a.ord, a.attempt, a.holder, a.result, l.tid
        FROM unnest(p_id, p_attempt, p_holder, p_result) WITH ORDINALITY AS a(id, attempt, holder, result, ord)
        CROSS JOIN LATERAL (
            SELECT t.ctid AS tid
            FROM pgmill.task t
            WHERE t.id = a.id AND t.attempt = a.attempt AND t.holder = a.holder AND t.lease_until IS NOT NULL
            OFFSET 0
        ) l
    ), ended AS (
        -- The fence is checked again, on what another transaction may have made of the row meanwhile.
        DELETE FROM pgmill.task t
        USING held x
        WHERE t.ctid = x.tid AND t.attempt = x.attempt AND t.holder = x.holder AND t.lease_until IS NOT NULL
        RETURNING x.ord::integer AS ord, nullif(x.result, 'null')::json AS result,
            t.id, t.run_at, t.created_at, t.queue_id, t.retries, t.priority, t.attempt, t.spared,
            t.started_at, t.holder, t.worker, t.payload, t.key, t.traceparent
    ), home AS MATERIALIZED (
        SELECT q.id, q.retention, e.n
        FROM (SELECT queue_id, count(*) AS n FROM ended GROUP BY queue_id) e
        CROSS JOIN LATERAL (SELECT * FROM pgmill.queue q WHERE q.id = e.queue_id OFFSET 0) q
        WHERE q.ns = p_ns
    ), kept AS (
        INSERT INTO pgmill.task_finished (id, finished_at, created_at, delayed_at, started_at, holder, queue_id,
            retries, attempt, spared, status, priority, worker, payload, key, result, traceparent)
        SELECT e.id, now(), e.created_at, CASE WHEN e.run_at <> e.created_at THEN e.run_at END, e.started_at, e.holder,
            e.queue_id, e.retries, e.attempt, e.spared, 3, e.priority, e.worker, e.payload, e.key, e.result, e.traceparent
        FROM ended e
        WHERE (e.queue_id IN (SELECT h.id FROM home h WHERE h.retention > 0)) IS TRUE
    ), gone AS (
        INSERT INTO pgmill.task_gone (ended_at, ids, attempts, holders)
        SELECT now(), array_agg(e.id), array_agg(e.attempt), array_agg(e.holder)
        FROM ended e
        WHERE (e.queue_id IN (SELECT h.id FROM home h WHERE h.retention = 0)) IS TRUE
        HAVING count(*) > 0
    ), counted AS (
        INSERT INTO pgmill.task_count_delta (queue_id, status, day, n)
        SELECT h.id, s.status, s.day, s.n
        FROM home h
        CROSS JOIN LATERAL (VALUES
            (2, date '-infinity', -h.n),
            (3, (now() AT TIME ZONE 'UTC')::date, CASE WHEN h.retention > 0 THEN h.n ELSE 0 END)
        ) AS s(status, day, n)
        WHERE s.n <> 0
    )
    SELECT array_agg(e.ord), count(*) <> coalesce((SELECT sum(h.n) FROM home h), 0)
    INTO released, v_strange
    FROM ended e;
    IF v_strange THEN
        RAISE EXCEPTION 'a task of this batch is of another namespace, or its queue is gone'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END
$$;
