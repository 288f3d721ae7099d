-- Walks a stretch of the live tasks in index order, and ends what nobody can retain any more. Answers what it did and the
-- place it reached (null: the end), from where the next call goes on. Tasks of a queue that is gone are passed over:
-- remove_orphans_v1 deletes them, for a queue of millions that is deleted must not keep the tasks of others from ending.
--
-- Ended are: tasks past dies_at (expired), and tasks whose lease lapsed on their last attempt (failed). Those who watch are
-- told by the commit: there are few of these tasks, and this runs every few seconds. No holder is kept, so that a release
-- which is sent again, after the sweep, does not take that end for its own.
-- The plan does not depend on statistics: see retain_v1.
--
-- Locks: the rows it ends, skipping locked ones. Never waits. Relies on: task_ready.
CREATE FUNCTION pgmill.sweep_v1(
    p_queue integer, p_priority smallint, p_run_at timestamptz, p_id bigint, p_scan integer
) RETURNS TABLE (
    expired bigint, failed bigint,
    queue_id integer, priority smallint, run_at timestamptz, id bigint
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
    -- As in retain_v1: leases that began before it have not lapsed, whatever they say.
    v_amnesty timestamptz := CASE WHEN now() < pg_postmaster_start_time() + interval '30 s'
        THEN pg_postmaster_start_time() ELSE '-infinity' END;
BEGIN
    RETURN QUERY
    WITH seen AS MATERIALIZED (
        SELECT t.ctid AS tid, t.queue_id, t.priority, t.run_at, t.id,
            (t.lease_until IS NULL OR (t.lease_until < now() AND t.started_at >= v_amnesty))
                AND (t.dies_at <= now() OR (t.lease_until IS NOT NULL AND t.attempt - coalesce(t.spared, 0) >= t.retries))
                AND EXISTS (SELECT FROM pgmill.queue q WHERE q.id = t.queue_id) AS over
        FROM pgmill.task t
        WHERE (t.queue_id, t.priority, t.run_at, t.id + 0) > (p_queue, p_priority, p_run_at, p_id)
        ORDER BY t.queue_id, t.priority, t.run_at, t.id + 0
        LIMIT p_scan
    ), locked AS MATERIALIZED (
        SELECT l.*
        FROM seen s
        CROSS JOIN LATERAL (
            SELECT t.ctid AS tid, (CASE WHEN t.dies_at <= now() THEN 5 ELSE 4 END)::smallint AS status
            FROM pgmill.task t
            WHERE t.ctid = s.tid
                AND (t.lease_until IS NULL OR (t.lease_until < now() AND t.started_at >= v_amnesty))
                AND (t.dies_at <= now() OR (t.lease_until IS NOT NULL AND t.attempt - coalesce(t.spared, 0) >= t.retries))
            FOR UPDATE SKIP LOCKED
        ) l
        WHERE s.over
    ), ended AS (
        DELETE FROM pgmill.task t
        USING locked l
        WHERE t.ctid = l.tid
        RETURNING t.*, l.status
    ), kept AS (
        INSERT INTO pgmill.task_finished (id, finished_at, created_at, delayed_at, dies_at, started_at, holder, queue_id,
            retries, attempt, spared, status, priority, worker, payload, key, result, traceparent)
        SELECT e.id, now(), e.created_at,
            CASE WHEN e.status <> 4 AND e.run_at <> e.created_at THEN e.run_at END,
            CASE WHEN e.status <> 3 THEN e.dies_at END, e.started_at, NULL, e.queue_id,
            e.retries, e.attempt, e.spared, e.status, e.priority, e.worker, e.payload, e.key,
            coalesce(e.result, CASE WHEN e.status = 4 THEN '"the lease lapsed on the last attempt"'::json END), e.traceparent
        FROM ended e
    ), lapsed AS (
        INSERT INTO pgmill.task_attempt (id, queue_id, attempt, started_at, ended_at, outcome, worker)
        SELECT e.id, e.queue_id, e.attempt, e.started_at, now(), 2, e.worker
        FROM ended e WHERE e.lease_until IS NOT NULL
    ), counted AS (
        INSERT INTO pgmill.task_count_delta (queue_id, status, day, n)
        SELECT e.queue_id, s.status, s.day, sum(s.n)
        FROM ended e
        CROSS JOIN LATERAL (VALUES
            (CASE WHEN e.lease_until IS NOT NULL THEN 2 WHEN e.attempt = coalesce(e.spared, 0) THEN 0 ELSE 1 END,
                date '-infinity', -1),
            (e.status::integer, (now() AT TIME ZONE 'UTC')::date, 1)
        ) AS s(status, day, n)
        GROUP BY e.queue_id, s.status, s.day
    ), told AS MATERIALIZED (
        SELECT pgmill.tell_ended_v1(array_agg(e.queue_id), array_agg(e.id), array_agg(e.status), array_agg(e.attempt),
            array_agg(e.worker))
        FROM ended e
        HAVING count(*) > 0
    )
    SELECT n.expired, n.failed, p.queue_id, p.priority, p.run_at, p.id
    FROM (
        SELECT count(*) FILTER (WHERE e.status = 5) AS expired, count(*) FILTER (WHERE e.status = 4) AS failed
        FROM ended e
    ) n
    LEFT JOIN (SELECT s.queue_id, s.priority, s.run_at, s.id FROM seen s OFFSET p_scan - 1 LIMIT 1) p ON true
    -- Always so; it is here for what telling does.
    WHERE (SELECT count(*) FROM told) >= 0;
END
$$;

-- Folds a chunk of the count changes into the counts, and answers how many changes it folded and how large the table of
-- changes is on disk. Changes of a queue that is gone are dropped.
--
-- Locks: the changes it folds, skipping locked ones; then the counts, in the order of their key.
CREATE FUNCTION pgmill.fold_counts_v1(p_limit integer) RETURNS TABLE (folded bigint, bytes bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH change AS (
        DELETE FROM pgmill.task_count_delta
        WHERE ctid = ANY (ARRAY(SELECT d.ctid FROM pgmill.task_count_delta d LIMIT p_limit FOR UPDATE SKIP LOCKED))
        RETURNING queue_id, status, day, n
    ), folded AS (
        INSERT INTO pgmill.task_count AS c (queue_id, status, day, n)
        SELECT h.queue_id, h.status, h.day, sum(h.n)
        FROM change h
        WHERE EXISTS (SELECT FROM pgmill.queue q WHERE q.id = h.queue_id)
        GROUP BY h.queue_id, h.status, h.day
        ORDER BY h.queue_id, h.status, h.day
        ON CONFLICT (queue_id, status, day) DO UPDATE SET n = c.n + excluded.n
    )
    SELECT (SELECT count(*) FROM change), pg_relation_size('pgmill.task_count_delta');
END
$$;

-- Gives up with 55P03 if a transaction that has gone on for a second holds a lock on this table: before anything stands in
-- line for an exclusive lock that it will not get in time, with all batches behind it. Of sessions whose start this role may
-- not see it knows nothing; the lock_timeout of the caller is what holds for those.
CREATE FUNCTION pgmill.give_way_v1(p_table regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_locks l
        JOIN pg_stat_activity a ON a.pid = l.pid
        WHERE l.relation = p_table AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
            AND l.pid <> pg_backend_pid() AND a.xact_start < clock_timestamp() - interval '1 second')
    THEN
        RAISE EXCEPTION 'a transaction that is open holds %', p_table USING ERRCODE = 'lock_not_available';
    END IF;
END
$$;

-- Folds all count changes and begins their table anew, and answers how many it folded. For a table that has grown: under
-- a transaction that stays open, VACUUM cannot remove the changes that were folded, and every fold and every count walks
-- them. TRUNCATE needs no VACUUM.
--
-- A statement under READ COMMITTED reads either all of it before or all of it after, for it takes its snapshot once it has
-- its locks. A transaction under REPEATABLE READ that began before misses in its counts what was folded here.
--
-- Locks: ACCESS EXCLUSIVE on the changes, against every batch that writes: for the few milliseconds of the work and of the
-- commit, and for at most 50 ms while it waits for batches under way. A transaction that enqueued and stays open makes it
-- give up with 55P03 at once, and the caller tries again later. Then the counts, in the order of their key.
CREATE FUNCTION pgmill.rotate_counts_v1() RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '50ms'
AS $$
DECLARE
    v_folded bigint;
BEGIN
    PERFORM pgmill.give_way_v1('pgmill.task_count_delta');
    LOCK TABLE pgmill.task_count_delta IN ACCESS EXCLUSIVE MODE;
    WITH change AS MATERIALIZED (
        SELECT d.queue_id, d.status, d.day, sum(d.n) AS n, count(*) AS changes
        FROM pgmill.task_count_delta d
        GROUP BY d.queue_id, d.status, d.day
    ), folded AS (
        INSERT INTO pgmill.task_count AS c (queue_id, status, day, n)
        SELECT h.queue_id, h.status, h.day, h.n
        FROM change h
        WHERE EXISTS (SELECT FROM pgmill.queue q WHERE q.id = h.queue_id)
        ORDER BY h.queue_id, h.status, h.day
        ON CONFLICT (queue_id, status, day) DO UPDATE SET n = c.n + excluded.n
    )
    SELECT coalesce(sum(h.changes), 0) INTO v_folded FROM change h;
    TRUNCATE pgmill.task_count_delta;
    RETURN v_folded;
END
$$;

-- Looks at a stretch of the idempotency keys, in their order, and deletes those whose task holds them no longer, or whose
-- queue is gone. Answers how many it deleted and the place it reached (null: the end).
--
-- Locks: the keys it deletes, skipping locked ones. Never waits. Relies on: task_key_pkey.
CREATE FUNCTION pgmill.prune_keys_v1(p_queue integer, p_key text, p_scan integer)
RETURNS TABLE (pruned bigint, queue_id integer, key text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH seen AS MATERIALIZED (
        SELECT k.ctid AS tid, k.queue_id, k.key, k.id
        FROM pgmill.task_key k
        WHERE (k.queue_id, k.key) > (p_queue, p_key)
        ORDER BY k.queue_id, k.key
        LIMIT p_scan
    ), locked AS MATERIALIZED (
        SELECT l.tid
        FROM seen s
        LEFT JOIN LATERAL (SELECT * FROM pgmill.queue q WHERE q.id = s.queue_id OFFSET 0) q ON true
        CROSS JOIN LATERAL (
            SELECT k.ctid AS tid FROM pgmill.task_key k WHERE k.ctid = s.tid AND k.id = s.id FOR UPDATE SKIP LOCKED
        ) l
        WHERE q.id IS NULL OR NOT pgmill.key_is_held_v1(s.id, q.retention, q.retention_failed)
    ), pruned AS (
        DELETE FROM pgmill.task_key k USING locked l WHERE k.ctid = l.tid RETURNING k.id
    )
    SELECT (SELECT count(*) FROM pruned), p.queue_id, p.key
    FROM (SELECT 1) AS one
    LEFT JOIN (SELECT s.queue_id, s.key FROM seen s OFFSET p_scan - 1 LIMIT 1) p ON true;
END
$$;

-- Deletes a chunk of what queues that are gone have left: live tasks, idempotency keys and counts, and the counts of past
-- days that have come to nothing. Answers how many of each; fewer than p_limit of all: there is no more. (Finished tasks
-- leave with prune_finished_v1.)
--
-- The queues are found by leaps from one queue to the next in the index, so that nothing but orphans is looked at.
--
-- Locks: the rows it deletes, skipping locked ones. Never waits. Relies on: task_ready, task_key_pkey.
CREATE FUNCTION pgmill.remove_orphans_v1(p_limit integer) RETURNS TABLE (tasks bigint, keys bigint, counts bigint)
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
BEGIN
    RETURN QUERY
    WITH RECURSIVE owner(queue_id) AS (
        (SELECT t.queue_id FROM pgmill.task t ORDER BY t.queue_id LIMIT 1)
        UNION ALL
        SELECT (SELECT t.queue_id FROM pgmill.task t WHERE t.queue_id > o.queue_id ORDER BY t.queue_id LIMIT 1)
        FROM owner o WHERE o.queue_id IS NOT NULL
    ), key_owner(queue_id) AS (
        (SELECT k.queue_id FROM pgmill.task_key k ORDER BY k.queue_id LIMIT 1)
        UNION ALL
        SELECT (SELECT k.queue_id FROM pgmill.task_key k WHERE k.queue_id > o.queue_id ORDER BY k.queue_id LIMIT 1)
        FROM key_owner o WHERE o.queue_id IS NOT NULL
    ), gone AS MATERIALIZED (
        -- Told from the others before any row is locked.
        SELECT o.queue_id FROM owner o
        WHERE o.queue_id IS NOT NULL AND NOT EXISTS (SELECT FROM pgmill.queue q WHERE q.id = o.queue_id)
    ), gone_key AS MATERIALIZED (
        SELECT o.queue_id FROM key_owner o
        WHERE o.queue_id IS NOT NULL AND NOT EXISTS (SELECT FROM pgmill.queue q WHERE q.id = o.queue_id)
    ), task_removed AS (
        DELETE FROM pgmill.task
        WHERE ctid = ANY (ARRAY(
            SELECT l.tid
            FROM gone o
            CROSS JOIN LATERAL (
                SELECT t.ctid AS tid FROM pgmill.task t WHERE t.queue_id = o.queue_id LIMIT p_limit FOR UPDATE SKIP LOCKED
            ) l
            LIMIT p_limit))
        RETURNING 1
    ), key_removed AS (
        DELETE FROM pgmill.task_key
        WHERE ctid = ANY (ARRAY(
            SELECT l.tid
            FROM gone_key o
            CROSS JOIN LATERAL (
                SELECT k.ctid AS tid FROM pgmill.task_key k WHERE k.queue_id = o.queue_id LIMIT p_limit
                FOR UPDATE SKIP LOCKED
            ) l
            LIMIT p_limit))
        RETURNING 1
    ), count_removed AS (
        -- A fold that began before a queue was deleted may have written its counts after it.
        DELETE FROM pgmill.task_count
        WHERE ctid = ANY (ARRAY(
            SELECT c.ctid FROM pgmill.task_count c
            WHERE NOT EXISTS (SELECT FROM pgmill.queue q WHERE q.id = c.queue_id)
                OR (c.n = 0 AND isfinite(c.day) AND c.day < (now() AT TIME ZONE 'UTC')::date)
            LIMIT p_limit FOR UPDATE SKIP LOCKED))
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM task_removed), (SELECT count(*) FROM key_removed),
        (SELECT count(*) FROM count_removed);
END
$$;
