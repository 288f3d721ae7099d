-- Who watches tasks change. A process with somebody who watches a namespace says so here, and those who change tasks then
-- notify the channel `pgmill_event`, once their changes are committed. Who finds nobody here says nothing.
--
-- Unlogged: after a crash nobody is here, and whoever watches has lost the connection it would have been told on.
CREATE UNLOGGED TABLE pgmill.watcher (
    ns      text COLLATE "C" NOT NULL,
    process bigint NOT NULL,
    until   timestamptz NOT NULL,
    PRIMARY KEY (ns, process)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
COMMENT ON COLUMN pgmill.watcher.until IS 'Until when the process is to be told.';

-- Has a process told of changes in these namespaces and no others, for p_for microseconds. With none it is told no more.
--
-- Caller: the feed of events, when what is watched in its process changes, and every 10 s while anything is.
-- Locks: the process's own rows; those of processes that are gone are deleted, skipping locked ones. Never waits.
-- Relies on: watcher_pkey; the table has a row for each process that watches and each namespace.
CREATE FUNCTION pgmill.watch_v1(p_process bigint, p_ns text[], p_for bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    DELETE FROM pgmill.watcher
    WHERE ctid = ANY (ARRAY(SELECT w.ctid FROM pgmill.watcher w
        WHERE (w.process = p_process AND w.ns <> ALL (p_ns)) OR w.until < now() - interval '1 minute'
        FOR UPDATE SKIP LOCKED));
    INSERT INTO pgmill.watcher (ns, process, until)
    SELECT n.ns, p_process, now() + p_for * interval '1 microsecond'
    FROM unnest(p_ns) AS n(ns)
    ON CONFLICT (ns, process) DO UPDATE SET until = excluded.until;
END
$$;

-- Tells other processes of changes that are committed: one notice for each entry of p_notice, if somebody watches its
-- namespace (p_ns). Answers the namespaces that others watch; with empty arrays that is all it does.
--
-- Caller: the feed of events of a process that changes tasks, by a statement of its own: NOTIFY takes a lock that all of the
-- server's databases share until the commit is on disk. This one does not wait for the disk, as wake_v1 does not.
-- Locks: that of NOTIFY, if somebody watches. Relies on: watcher_pkey; there are few rows.
CREATE FUNCTION pgmill.tell_watchers_v1(p_process bigint, p_ns text[], p_notice text[]) RETURNS text[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    v_watched text[] := ARRAY(
        SELECT DISTINCT w.ns FROM pgmill.watcher w WHERE w.until > now() AND w.process <> p_process);
BEGIN
    IF p_ns && v_watched THEN
        PERFORM set_config('synchronous_commit', 'off', true);
        PERFORM pg_notify('pgmill_event', n.notice)
        FROM unnest(p_ns, p_notice) AS n(ns, notice)
        WHERE n.ns = ANY (v_watched);
    END IF;
    RETURN v_watched;
END
$$;

-- Tells, by the commit of the caller's transaction, of a task that was created in it.
--
-- Caller: create_task. Locks: that of NOTIFY, if somebody watches, from the caller's commit until it is on disk.
-- Relies on: watcher_pkey.
CREATE FUNCTION pgmill.tell_created_v1(p_ns text, p_queue text, p_id bigint, p_at timestamptz) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
BEGIN
    IF EXISTS (SELECT FROM pgmill.watcher w WHERE w.ns = p_ns AND w.until > clock_timestamp()) THEN
        PERFORM pg_notify('pgmill_event', json_build_object('ns', p_ns, 'queues', json_build_array(p_queue),
            'events', json_build_array(json_build_array(
                p_id, 0, 0, 0, NULL, (extract(epoch FROM p_at) * 1000000)::bigint)))::text);
    END IF;
END
$$;

-- Tells, by the commit of the caller's transaction, of tasks that were ended in it: 25 a notice, and of more than 1,000 how
-- many there are. A notice that is too long for what it names tells only how many.
--
-- Caller: sweep_v1, if it has ended any. Locks: that of NOTIFY, if somebody watches these, from the caller's commit
-- until it is on disk. Relies on: queue_pkey, watcher_pkey.
CREATE FUNCTION pgmill.tell_ended_v1(
    p_queue_id integer[], p_id bigint[], p_status smallint[], p_attempt integer[], p_worker text[]
) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    v_at bigint := extract(epoch FROM now()) * 1000000;
BEGIN
    PERFORM pg_notify('pgmill_event', CASE WHEN octet_length(m.notice) > 7900 OR m.number >= 40
        THEN json_build_object('ns', m.ns, 'lost', m.count)::text
        ELSE m.notice END)
    FROM (
        SELECT c.ns, c.number, count(*) AS count, json_build_object('ns', c.ns,
            'queues', json_agg(c.queue ORDER BY c.place), 'workers', json_agg(c.worker ORDER BY c.place),
            'events', json_agg(json_build_array(c.id, c.place, c.status, c.attempt, c.place, v_at) ORDER BY c.place)
            )::text AS notice
        FROM (
            SELECT q.ns, q.queue, x.id, x.status, x.attempt, x.worker,
                least(40, (row_number() OVER (PARTITION BY q.ns) - 1) / 25) AS number,
                (row_number() OVER (PARTITION BY q.ns) - 1) % 25 AS place
            FROM unnest(p_queue_id, p_id, p_status, p_attempt, p_worker) AS x(queue_id, id, status, attempt, worker)
            CROSS JOIN LATERAL (SELECT * FROM pgmill.queue q WHERE q.id = x.queue_id OFFSET 0) q
            -- Not EXISTS, which could become a join that looks at all of them.
            WHERE (SELECT true FROM pgmill.watcher w WHERE w.ns = q.ns AND w.until > now() LIMIT 1)
        ) c
        GROUP BY c.ns, c.number
    ) m;
END
$$;
