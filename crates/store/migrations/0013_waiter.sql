-- Who sleeps and wants to be told of tasks. A process that has nothing to do says so here, and those who create tasks for it
-- then notify the channel `pgmill`, once their tasks are committed. Who finds nobody here says nothing.
--
-- Unlogged: after a crash nobody is here, and whoever sleeps has lost the connection it would have been told on.
CREATE UNLOGGED TABLE pgmill.waiter (
    ns      text COLLATE "C" NOT NULL,
    queue   text COLLATE "C" NOT NULL,
    process bigint NOT NULL,
    until   timestamptz NOT NULL,
    PRIMARY KEY (ns, queue, process)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
COMMENT ON COLUMN pgmill.waiter.queue IS 'Empty: any queue of the namespace.';
COMMENT ON COLUMN pgmill.waiter.until IS 'Until when the process is to be told, whether it sleeps or not.';

-- What a process does before it sleeps: answers in how many microseconds the next task is due that it wants (null: none),
-- and, with p_for, has it told of others for so many microseconds.
--
-- A task is meant that lies ahead, or became due within the last second and could be had: the process looked just now, and it
-- may have come in between. What is older it has seen, and cannot have.
--
-- Locks: the process's own rows; those of the namespace whose processes are gone are deleted, skipping locked ones. Never waits.
-- Relies on: waiter_pkey, queue_name, task_ready. The plan does not depend on statistics: see retain_v1.
CREATE FUNCTION pgmill.sleep_v1(p_process bigint, p_ns text, p_queues text[], p_for bigint) RETURNS bigint
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
DECLARE
    v_due timestamptz;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    IF p_for IS NOT NULL THEN
        INSERT INTO pgmill.waiter (ns, queue, process, until)
        SELECT p_ns, q.queue, p_process, now() + p_for * interval '1 microsecond'
        FROM unnest(CASE WHEN cardinality(p_queues) = 0 THEN ARRAY[''] ELSE p_queues END) AS q(queue)
        ON CONFLICT (ns, queue, process) DO UPDATE SET until = excluded.until;
        DELETE FROM pgmill.waiter
        WHERE ctid = ANY (ARRAY(SELECT w.ctid FROM pgmill.waiter w
            WHERE w.ns = p_ns AND w.until < now() - interval '1 minute'
            FOR UPDATE SKIP LOCKED));
    END IF;
    SELECT min(d.run_at) INTO v_due
    FROM (
        SELECT q.id FROM pgmill.queue q
        WHERE cardinality(p_queues) = 0 AND q.ns = p_ns AND q.paused_at IS NULL
        UNION ALL
        SELECT q.id FROM unnest(p_queues) AS n(queue)
        CROSS JOIN LATERAL (SELECT * FROM pgmill.queue q WHERE q.ns = p_ns AND q.queue = n.queue OFFSET 0) q
        WHERE q.paused_at IS NULL
    ) m
    CROSS JOIN generate_series(0, 9) AS p(priority)
    CROSS JOIN LATERAL (
        SELECT t.run_at FROM pgmill.task t
        WHERE t.queue_id = m.id AND t.priority = p.priority::smallint
            AND (t.run_at, t.id + 0) > (now() - interval '1 s', 0)
            AND (t.dies_at IS NULL OR t.dies_at > greatest(t.run_at, now()))
            AND t.lease_until IS NULL AND t.attempt - coalesce(t.spared, 0) < t.retries
        ORDER BY t.run_at, t.id + 0
        LIMIT 1
    ) d;
    RETURN (extract(epoch FROM v_due - now()) * 1000000)::bigint;
END
$$;

-- Tells other processes that tasks have come into these queues, due in so many microseconds (p_due), if any of them waits
-- for one. To be called once the tasks are committed. Answers how many of the queues somebody waits for. For one queue
-- sql/wake_one.sql does the same.
--
-- NOTIFY takes a lock that all of the server's databases share until the commit is on disk; this one does not wait for the
-- disk, for a notice that a crash loses is of no use to those who lost their connection by it.
--
-- Locks: that of NOTIFY, if somebody waits. Relies on: waiter_pkey.
CREATE FUNCTION pgmill.wake_v1(p_process bigint, p_ns text[], p_queue text[], p_due bigint[]) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    v_in json;
    v_count bigint;
    v_notice text;
BEGIN
    SELECT json_agg(json_build_array(x.ns, x.queue, x.due)), count(*) INTO v_in, v_count
    FROM unnest(p_ns, p_queue, p_due) AS x(ns, queue, due)
    WHERE EXISTS (
        SELECT FROM pgmill.waiter w
        WHERE w.ns = x.ns AND w.queue IN (x.queue, '') AND w.until > now() AND w.process <> p_process);
    IF v_count > 0 THEN
        PERFORM set_config('synchronous_commit', 'off', true);
        v_notice := json_build_object('from', p_process, 'in', v_in);
        -- A notice has less than 8,000 bytes. One that names no queue is about all.
        IF octet_length(v_notice) > 7900 THEN
            v_notice := json_build_object('from', p_process);
        END IF;
        PERFORM pg_notify('pgmill', v_notice);
    END IF;
    RETURN v_count;
END
$$;

-- The same by the commit of the caller's transaction, for a task that was created in it. When it is due is not told: by
-- the commit it may be another while, and who is woken sees.
--
-- Locks: that of NOTIFY, if somebody waits, from the caller's commit until it is on disk. Relies on: waiter_pkey.
CREATE FUNCTION pgmill.wake_in_transaction_v1(p_ns text, p_queue text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
BEGIN
    IF EXISTS (SELECT FROM pgmill.waiter w
        WHERE w.ns = p_ns AND w.queue IN (p_queue, '') AND w.until > clock_timestamp())
    THEN
        PERFORM pg_notify('pgmill', json_build_object('in', json_build_array(json_build_array(p_ns, p_queue, 0)))::text);
    END IF;
END
$$;
