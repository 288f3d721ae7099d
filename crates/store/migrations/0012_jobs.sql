-- Removal of history, and the jobs of maintenance.
--
-- Retention is a minimum. Rows whose retention is a day or more leave with their UTC day; queues that keep less than a day,
-- and those that are gone, are pruned row by row.
--
-- A day goes in one of three ways, whichever is cheapest: dropped whole once nobody keeps any of it; written anew with the
-- few rows that somebody keeps (what failed, usually), and swapped; or, where much is kept, cleared by chunks.

-- Which rows of a day somebody keeps no longer: for each queue and status with rows in that day, all that finished before
-- `before` (null: none), how many rows there are by the counters, and whether that is all of the day.
--
-- The queues are found by leaps in the index. A queue that is gone keeps nothing. The changes of the counters have no index:
-- they are read once for all queues, and put together with what is found by grouping. A join might read them, or what comes
-- of them, once for each queue and status, for which the planner has only guesses.
--
-- Locks: none. Relies on: the day's part of task_finished_status.
CREATE FUNCTION pgmill.past_retention_v1(p_day date)
RETURNS TABLE (queue_id integer, status smallint, before timestamptz, whole boolean, rows bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
DECLARE
    v_from timestamptz := p_day;
    v_to timestamptz := p_day + 1;
BEGIN
    RETURN QUERY EXECUTE format($query$
        WITH RECURSIVE leap(queue_id, status) AS (
            (SELECT f.queue_id, f.status FROM pgmill.%1$I f ORDER BY f.queue_id, f.status LIMIT 1)
            UNION ALL
            SELECT n.* FROM leap l
            CROSS JOIN LATERAL (
                SELECT f.queue_id, f.status FROM pgmill.%1$I f
                WHERE (f.queue_id, f.status) > (l.queue_id, l.status)
                ORDER BY f.queue_id, f.status LIMIT 1
            ) n
        ), kept AS MATERIALIZED (
            SELECT l.queue_id, l.status, q.id IS NULL AS gone,
                coalesce(CASE WHEN l.status = 3 THEN q.retention ELSE q.retention_failed END, 0)
                    * interval '1 microsecond' AS retention
            FROM leap l
            LEFT JOIN pgmill.queue q ON q.id = l.queue_id
        ), edge AS MATERIALIZED (
            SELECT k.*, CASE
                    WHEN k.gone THEN $2
                    WHEN k.retention < interval '24 hours' THEN now() - k.retention
                    ELSE date_trunc('day', now() - k.retention)
                END AS before
            FROM kept k
        )
        SELECT c.queue_id, c.status, max(c.before) FILTER (WHERE c.before > $1), bool_or(c.before >= $2), sum(c.n)::bigint
        FROM (
            SELECT e.queue_id, e.status, e.before, true AS is_there, 0 AS n FROM edge e
            UNION ALL
            SELECT t.queue_id, t.status, NULL, false, t.n FROM pgmill.task_count t WHERE t.day = $3
            UNION ALL
            SELECT d.queue_id, d.status, NULL, false, d.n FROM pgmill.task_count_delta d WHERE d.day = $3
        ) c
        GROUP BY c.queue_id, c.status
        HAVING bool_or(c.is_there)
        ORDER BY c.queue_id, c.status
        $query$, 'task_finished' || to_char(p_day, '"_"YYYYMMDD')) USING v_from, v_to, p_day;
END
$$;

-- What there is to prune, as steps: 0 drop a day of a table, 1 write a day of task_finished anew without what nobody keeps,
-- 2 delete the rows of a queue and a status in a day. After each 1 follow, as 3, the deletions that do the same, for a day
-- that cannot be written anew within statement_timeout. Yesterday and today are never dropped: a release that began before
-- midnight may still write there, and ensure_partitions_v1 would make them again.
--
-- task_attempt follows the queue that keeps longest, task_gone is kept for a day.
--
-- Writing a day anew pays when at most a fifth of it stays; it holds what is copied under a lock against clean_queue, and
-- so copies no more than a million rows. Small days are left to deletion.
--
-- What is past its retention is asked for once for each day, for that reads all changes of the counters.
--
-- Locks: none.
CREATE FUNCTION pgmill.prune_steps_v1()
RETURNS TABLE (step smallint, parent text, day date, queue_id integer, status smallint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_today date := (now() AT TIME ZONE 'UTC')::date;
    v_part record;
BEGIN
    FOR v_part IN
        SELECT p.parent, p.day,
            p.day < v_today - 1 AND (p.parent = 'task_gone' OR pgmill.day_is_over_v1(p.day)) AS over
        FROM (
            -- A name is taken apart only where it is a day's: the condition may be evaluated before the join.
            SELECT t.relname::text AS parent,
                CASE WHEN c.relname ~ '_[0-9]{8}$' THEN to_date(right(c.relname, 8), 'YYYYMMDD') END AS day
            FROM pg_inherits i
            JOIN pg_class c ON c.oid = i.inhrelid
            JOIN pg_class t ON t.oid = i.inhparent
            WHERE i.inhparent IN ('pgmill.task_finished'::regclass, 'pgmill.task_attempt'::regclass,
                'pgmill.task_gone'::regclass)
        ) p
        WHERE p.day <= v_today
        ORDER BY p.day, p.parent
    LOOP
        IF v_part.over THEN
            RETURN QUERY SELECT 0::smallint, v_part.parent, v_part.day, NULL::integer, NULL::smallint;
        ELSIF v_part.parent = 'task_finished' THEN
            RETURN QUERY
                WITH past AS MATERIALIZED (
                    SELECT * FROM pgmill.past_retention_v1(v_part.day)
                ), anew AS MATERIALIZED (
                    SELECT v_part.day < v_today - 1 AND coalesce(sum(r.rows) FILTER (WHERE r.whole), 0) >= 10000
                        AND coalesce(sum(r.rows) FILTER (WHERE NOT r.whole), 0)
                            <= least(1000000, sum(r.rows) FILTER (WHERE r.whole) / 4) AS pays
                    FROM past r
                )
                SELECT 1::smallint, v_part.parent, v_part.day, NULL::integer, NULL::smallint FROM anew a WHERE a.pays
                UNION ALL
                SELECT CASE WHEN a.pays THEN 3 ELSE 2 END::smallint, v_part.parent, v_part.day, r.queue_id, r.status
                FROM anew a CROSS JOIN past r
                WHERE r.before IS NOT NULL
                ORDER BY 1, 4, 5;
        END IF;
    END LOOP;
END
$$;

-- Whether no queue keeps anything of this day any longer, whatever became of a task.
CREATE FUNCTION pgmill.day_is_over_v1(p_day date) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT (p_day + 1)::timestamp AT TIME ZONE 'UTC' <= now() - interval '1 microsecond'
        * coalesce((SELECT max(greatest(q.retention, q.retention_failed)) FROM pgmill.queue q), 0)
$$;

-- Takes what the counters tell of a day to what is left of it: the rows of p_left (null: nothing is). Written at once and not
-- as changes, which hold smaller numbers. The day must be locked against writers.
--
-- Locks: the counts, in the order of their key.
CREATE FUNCTION pgmill.recount_day_v1(p_day date, p_left regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format($query$
        INSERT INTO pgmill.task_count AS c (queue_id, status, day, n)
        SELECT x.queue_id, x.status, $1, sum(x.n)
        FROM (
            SELECT t.queue_id, t.status, -t.n AS n FROM pgmill.task_count t WHERE t.day = $1
            UNION ALL
            SELECT d.queue_id, d.status, -d.n FROM pgmill.task_count_delta d WHERE d.day = $1
            UNION ALL
            %s
        ) x
        WHERE EXISTS (SELECT FROM pgmill.queue q WHERE q.id = x.queue_id)
        GROUP BY x.queue_id, x.status
        HAVING sum(x.n) <> 0
        ORDER BY x.queue_id, x.status
        ON CONFLICT (queue_id, status, day) DO UPDATE SET n = c.n + excluded.n
        $query$,
        CASE
            WHEN p_left IS NULL THEN 'SELECT NULL, NULL, 0'
            ELSE format('SELECT f.queue_id, f.status, count(*) FROM %s f GROUP BY f.queue_id, f.status', p_left)
        END) USING p_day;
END
$$;

-- Drops a day of a history table, and with it what is counted for that day. False: it is kept after all, or gone already.
--
-- Dropped at once and not detached before: either takes ACCESS EXCLUSIVE on the parent, and dropping does it once; the files
-- are removed after the locks are.
--
-- Locks: an advisory transaction lock, as in ensure_partitions_v1; then the day, against deletions from it; then ACCESS
-- EXCLUSIVE on the table for the milliseconds of the drop and its commit. A lock that is not had within 50 ms, for which
-- all releases wait in line, is given up with 55P03, and the caller tries again later.
CREATE FUNCTION pgmill.drop_day_v1(p_parent text, p_day date) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '50ms'
AS $$
DECLARE
    v_part text := p_parent || to_char(p_day, '"_"YYYYMMDD');
BEGIN
    PERFORM pg_advisory_xact_lock(1886219628, 1);
    IF p_parent NOT IN ('task_finished', 'task_attempt', 'task_gone')
        OR p_day >= (now() AT TIME ZONE 'UTC')::date - 1
        OR NOT (p_parent = 'task_gone' OR pgmill.day_is_over_v1(p_day))
        OR to_regclass('pgmill.' || v_part) IS NULL
    THEN
        RETURN false;
    END IF;
    PERFORM pgmill.give_way_v1(('pgmill.' || p_parent)::regclass);
    IF p_parent = 'task_finished' THEN
        EXECUTE format('LOCK TABLE pgmill.%I IN SHARE ROW EXCLUSIVE MODE', v_part);
        PERFORM pgmill.recount_day_v1(p_day, NULL);
    END IF;
    EXECUTE format('DROP TABLE pgmill.%I', v_part);
    RETURN true;
END
$$;

-- Writes a day of task_finished anew with the rows that somebody keeps, and swaps it for the old one. Answers how many rows
-- it copied; null: the day is gone already.
--
-- Measured with 10 million rows in one day, 1 % of them to keep, on two cores: see the documentation of the prune job.
--
-- A statement under READ COMMITTED sees the one or the other. A transaction under REPEATABLE READ that began before sees
-- neither: for it the day is empty, as after a drop.
--
-- Locks: an advisory transaction lock, as in ensure_partitions_v1; the day against deletions from it (clean_queue, and
-- prune_finished_v1) while the rows are copied; then ACCESS EXCLUSIVE on task_finished for the milliseconds of the swap
-- and its commit. That one is tried ten times, for 50 ms each with pauses between, so that the copy need not be made
-- again; given up with 55P03. Relies on: the day's part of task_finished_status.
CREATE FUNCTION pgmill.rewrite_day_v1(p_day date) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET enable_seqscan = off
SET lock_timeout = '50ms'
SET jit = off
AS $$
DECLARE
    v_part text := 'task_finished' || to_char(p_day, '"_"YYYYMMDD');
    v_anew text := v_part || '_anew';
    v_from text := to_char(p_day, 'YYYY-MM-DD" 00:00:00+00"');
    v_to text := to_char(p_day + 1, 'YYYY-MM-DD" 00:00:00+00"');
    v_copied bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(1886219628, 1);
    IF p_day >= (now() AT TIME ZONE 'UTC')::date - 1 OR to_regclass('pgmill.' || v_part) IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM pgmill.give_way_v1('pgmill.task_finished');
    EXECUTE format('LOCK TABLE pgmill.%I IN SHARE ROW EXCLUSIVE MODE', v_part);
    EXECUTE format('CREATE TABLE pgmill.%I (LIKE pgmill.task_finished INCLUDING DEFAULTS INCLUDING CONSTRAINTS
        INCLUDING INDEXES)', v_anew);
    -- What the table is checked for, so that it need not be read when it is attached.
    EXECUTE format('ALTER TABLE pgmill.%I ADD CONSTRAINT day CHECK (finished_at >= %L AND finished_at < %L)',
        v_anew, v_from, v_to);
    EXECUTE format('INSERT INTO pgmill.%I
        SELECT f.* FROM pgmill.past_retention_v1($1) r
        CROSS JOIN LATERAL (
            SELECT * FROM pgmill.%I f WHERE f.queue_id = r.queue_id AND f.status = r.status OFFSET 0
        ) f
        WHERE NOT r.whole', v_anew, v_part) USING p_day;
    GET DIAGNOSTICS v_copied = ROW_COUNT;
    FOR v_try IN 1 .. 10 LOOP
        BEGIN
            PERFORM pgmill.recount_day_v1(p_day, ('pgmill.' || v_anew)::regclass);
            EXECUTE format('DROP TABLE pgmill.%I', v_part);
            EXECUTE format('ALTER TABLE pgmill.%I RENAME TO %I', v_anew, v_part);
            EXECUTE format('ALTER TABLE pgmill.task_finished ATTACH PARTITION pgmill.%I FOR VALUES FROM (%L) TO (%L)',
                v_part, v_from, v_to);
            EXECUTE format('ALTER TABLE pgmill.%I DROP CONSTRAINT day', v_part);
            RETURN v_copied;
        EXCEPTION WHEN lock_not_available THEN
            IF v_try = 10 THEN
                RAISE;
            END IF;
            PERFORM pg_sleep(0.05 * v_try);
        END;
    END LOOP;
END
$$;

-- Looks at a stretch of the finished tasks of a queue in one status and one day, in the order of their creation, and
-- deletes those that nobody keeps any longer. Answers how many it deleted, and the place it reached (null: the end).
--
-- Tasks that ended in the last ten minutes leave a receipt in task_gone: a repeated enqueue or release is still told that it
-- was done. Nothing is counted for a queue that is gone.
--
-- Locks: the rows it deletes, skipping locked ones. Relies on: the day's part of task_finished_status.
CREATE FUNCTION pgmill.prune_finished_v1(
    p_day date, p_queue integer, p_status smallint, p_after_at timestamptz, p_after bigint, p_scan integer
) RETURNS TABLE (pruned bigint, place_at timestamptz, place bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_part text := 'task_finished' || to_char(p_day, '"_"YYYYMMDD');
    v_retention interval;
    v_before timestamptz := 'infinity';
BEGIN
    IF to_regclass('pgmill.' || v_part) IS NULL THEN
        RETURN QUERY SELECT 0::bigint, NULL::timestamptz, NULL::bigint;
        RETURN;
    END IF;
    SELECT CASE WHEN p_status = 3 THEN q.retention ELSE q.retention_failed END * interval '1 microsecond'
        INTO v_retention
    FROM pgmill.queue q WHERE q.id = p_queue;
    IF FOUND THEN
        v_before := CASE
            WHEN v_retention < interval '24 hours' THEN now() - v_retention
            ELSE date_trunc('day', now() - v_retention)
        END;
    END IF;
    RETURN QUERY EXECUTE format($query$
        WITH seen AS MATERIALIZED (
            SELECT f.ctid AS tid, f.id, f.created_at, f.finished_at
            FROM pgmill.%1$I f
            WHERE f.queue_id = $1 AND f.status = $2 AND (f.created_at, f.id + 0) > ($3, $4)
            ORDER BY f.created_at, f.id + 0
            LIMIT $5
        ), removed AS (
            DELETE FROM pgmill.%1$I
            WHERE ctid = ANY (ARRAY(
                SELECT l.tid
                FROM seen s
                CROSS JOIN LATERAL (
                    SELECT f.ctid AS tid FROM pgmill.%1$I f WHERE f.ctid = s.tid FOR UPDATE SKIP LOCKED
                ) l
                WHERE s.finished_at < $6))
            RETURNING id, attempt, holder, finished_at
        ), receipt AS (
            INSERT INTO pgmill.task_gone (ended_at, ids, attempts, holders)
            SELECT now(), array_agg(r.id), array_agg(r.attempt), array_agg(r.holder)
            FROM removed r
            WHERE r.finished_at > now() - interval '10 minutes'
            HAVING count(*) > 0
        ), counted AS (
            INSERT INTO pgmill.task_count_delta (queue_id, status, day, n)
            SELECT $1, $2, $7, -count(*)
            FROM removed r
            WHERE EXISTS (SELECT FROM pgmill.queue q WHERE q.id = $1)
            HAVING count(*) > 0
        )
        SELECT (SELECT count(*) FROM removed), p.created_at, p.id
        FROM (SELECT 1) AS one
        LEFT JOIN (SELECT s.created_at, s.id FROM seen s OFFSET $5 - 1 LIMIT 1) p ON true
        $query$, v_part) USING p_queue, p_status, p_after_at, p_after, p_scan, v_before, p_day;
END
$$;

-- The jobs of maintenance: tickers of the namespace pgmill. Whoever takes a tick runs the job, under a lease. They begin at
-- the same moment and their intervals divide each other, so that what is due together is taken together.
INSERT INTO pgmill.ticker (ns, ticker, payload, "interval", policy, catch_up, priority, next_at)
SELECT 'pgmill', j.job, '{}', j.seconds * 1000000::bigint, 0, 100, 5, now()
FROM (VALUES ('sweep', 10), ('fold', 10), ('prune', 60), ('orphans', 60), ('partitions', 3600)) AS j(job, seconds)
ON CONFLICT (ns, ticker) DO NOTHING;
