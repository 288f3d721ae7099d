-- Ends attempts: done, failed with or without another try, given back, snoozed, cancelled. One call is one flight of the
-- release batcher.
--
-- p_ns             the distinct namespaces of the batch; p_slot points into them (from 1)
-- p_id             ascending, so that locks are taken in one order everywhere
-- p_attempt, p_holder   the fence: what the retain answered. Both null: whoever holds the task now, unless it was retained
--                  fenced (an odd holder, retain_v1)
-- p_action         0 done, 1 retry, 2 failed for good, 3 give back, 4 snooze, 5 cancel
-- p_result         result or error, may be null
-- p_delay          microseconds until the next try (retry: null means by the queue's backoff; snooze)
-- p_resend         the batch may have been committed by an earlier sending
--
-- Answers a row for each entry: code 0 released, 1 no such task in this namespace, 2 not retained, 3 retained by another
-- (the fence), 4 locked by somebody else's transaction: nothing changed, to be tried again alone, 5 retained fenced, and no
-- fence was given.
-- With an open fence (p_attempt null) the answer carries the payload too.
--
-- ended_at is when the attempt ended, whether the task goes on or not.
--
-- A task that ends moves to task_finished in this statement; one with retention 0 that is done leaves only its id in
-- task_gone. What happens to the others: retry counts k = attempt - spared attempts; with k = retries the task has
-- failed; with a next start past dies_at it has expired. Give back and snooze add to spared instead.
--
-- The plan does not depend on statistics: see retain_v1.
--
-- Locks: the rows, in id order, skipping locked ones. Never waits. Relies on: task_pkey.
CREATE FUNCTION pgmill.release_v1(
    p_ns text[],
    p_id bigint[], p_slot integer[], p_attempt integer[], p_holder bigint[], p_action smallint[], p_result text[],
    p_delay bigint[], p_resend boolean
) RETURNS TABLE (
    ord integer, code smallint, status smallint, ended_at timestamptz, run_at timestamptz,
    attempt integer, spared integer, retries integer,
    queue_id integer, queue text, priority smallint, created_at timestamptz, dies_at timestamptz,
    started_at timestamptz, worker text, key text, payload json
)
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
    WITH asked AS MATERIALIZED (
        -- The same task twice in one batch would be counted twice: the second entry waits for its own turn (code 4).
        SELECT x.ord::integer AS ord, x.id, p_ns[x.slot] AS ns, x.attempt, x.holder, x.action, x.result, x.delay,
            x.id IS DISTINCT FROM lag(x.id) OVER () AS first
        FROM unnest(p_id, p_slot, p_attempt, p_holder, p_action, p_result, p_delay)
            WITH ORDINALITY AS x(id, slot, attempt, holder, action, result, delay, ord)
    ), held AS MATERIALIZED (
        SELECT a.ord, a.action, a.result, a.delay, a.attempt IS NULL AS open_fence, l.*
        FROM asked a
        CROSS JOIN LATERAL (
            SELECT t.ctid AS tid, t.id, t.run_at, t.dies_at, t.attempt, coalesce(t.spared, 0) AS spared, t.retries,
                t.started_at, t.worker,
                q.id AS queue_id, q.queue, q.retry_delay, q.backoff, q.max_retry_delay, q.retention
            FROM pgmill.task t
            CROSS JOIN LATERAL (SELECT * FROM pgmill.queue q WHERE q.id = t.queue_id OFFSET 0) q
            WHERE t.id = a.id AND q.ns = a.ns AND t.lease_until IS NOT NULL
                AND ((a.attempt IS NULL AND t.holder % 2 = 0) OR (t.attempt = a.attempt AND t.holder = a.holder))
            FOR UPDATE OF t SKIP LOCKED
        ) l
        WHERE a.first
    ), timed AS MATERIALIZED (
        SELECT h.*, h.attempt - h.spared AS k,
            CASE h.action
                WHEN 1 THEN now() + interval '1 microsecond' * coalesce(h.delay, least(h.max_retry_delay,
                    (0.9 + 0.2 * random()) * h.retry_delay * CASE h.backoff
                        WHEN 0 THEN power(2.0::float8, least(h.attempt - h.spared - 1, 62))
                        WHEN 1 THEN (h.attempt - h.spared)::float8 * (h.attempt - h.spared)
                        WHEN 2 THEN h.attempt - h.spared
                        ELSE 1 END))
                WHEN 3 THEN now()
                WHEN 4 THEN now() + interval '1 microsecond' * coalesce(h.delay, 0)
            END AS next_at
        FROM held h
    ), fate AS MATERIALIZED (
        SELECT d.*, (CASE
                WHEN d.action = 0 THEN 3
                WHEN d.action = 2 THEN 4
                WHEN d.action = 5 THEN 6
                WHEN d.action = 1 AND d.k >= d.retries THEN 4
                WHEN d.action <> 3 AND d.next_at > d.dies_at THEN 5
                WHEN d.action = 1 THEN 1
                WHEN d.k > 1 THEN 1
                ELSE 0
            END)::smallint AS status
        FROM timed d
    ), ended AS (
        DELETE FROM pgmill.task t
        USING fate f
        WHERE t.ctid = f.tid AND f.status > 2
        RETURNING f.ord, f.open_fence, f.action, f.status, f.result::json AS error, f.queue, f.retention,
            t.id, t.run_at, t.created_at, t.dies_at, t.queue_id, t.retries, t.priority, t.attempt, t.spared,
            t.started_at, t.holder, t.worker, t.payload, t.key, t.traceparent
    ), kept AS (
        INSERT INTO pgmill.task_finished (id, finished_at, created_at, delayed_at, dies_at, started_at, holder, queue_id,
            retries, attempt, spared, status, priority, worker, payload, key, result, traceparent)
        SELECT e.id, now(), e.created_at,
            CASE WHEN e.status <> 4 AND e.run_at <> e.created_at THEN e.run_at END,
            CASE WHEN e.status <> 3 THEN e.dies_at END, e.started_at, e.holder, e.queue_id,
            e.retries, e.attempt, e.spared, e.status, e.priority, e.worker, e.payload, e.key, e.error, e.traceparent
        FROM ended e
        WHERE e.status <> 3 OR e.retention > 0
    ), gone AS (
        INSERT INTO pgmill.task_gone (ended_at, ids, attempts, holders)
        SELECT now(), array_agg(e.id), array_agg(e.attempt), array_agg(e.holder)
        FROM ended e
        WHERE e.status = 3 AND e.retention = 0
        HAVING count(*) > 0
    ), waiting AS (
        UPDATE pgmill.task t
        SET run_at = f.next_at, lease_until = NULL, spared = CASE WHEN f.action = 1 THEN t.spared ELSE coalesce(t.spared, 0) + 1 END,
            result = coalesce(f.result::json, t.result), tried = f.status = 1
        FROM fate f
        WHERE t.ctid = f.tid AND f.status < 2
        RETURNING f.ord, f.open_fence, f.action, f.status, f.result::json AS error, f.started_at, f.queue,
            t.id, t.run_at, t.created_at, t.dies_at, t.queue_id,
            t.retries, t.priority, t.attempt, t.spared, t.holder, t.worker, t.payload, t.key
    ), changed AS (
        -- Not from fate: a row whose new version came after this statement's snapshot is locked, but not changed by it.
        SELECT e.ord, e.action, e.status, e.id, e.queue_id, e.attempt, e.holder, e.started_at, e.worker, e.error,
            e.retention
        FROM ended e
        UNION ALL
        SELECT w.ord, w.action, w.status, w.id, w.queue_id, w.attempt, w.holder, w.started_at, w.worker, w.error, NULL
        FROM waiting w
    ), tried AS (
        INSERT INTO pgmill.task_attempt (id, queue_id, attempt, holder, started_at, ended_at, outcome, worker, error)
        SELECT c.id, c.queue_id, c.attempt, c.holder, c.started_at, now(),
            CASE
                WHEN c.action = 3 THEN 3
                WHEN c.action = 5 THEN 5
                WHEN c.status = 5 THEN 6
                WHEN c.status = 4 THEN 1
                WHEN c.action = 4 THEN 4
                ELSE 0
            END, c.worker, c.error
        FROM changed c
        WHERE c.action <> 0
    ), counted AS (
        INSERT INTO pgmill.task_count_delta (queue_id, status, day, n)
        SELECT c.queue_id, s.status, s.day, sum(s.n)
        FROM changed c
        CROSS JOIN LATERAL (VALUES
            (2, date '-infinity', -1),
            (c.status, CASE WHEN c.status > 2 THEN (now() AT TIME ZONE 'UTC')::date ELSE '-infinity' END,
                CASE WHEN c.status = 3 AND c.retention = 0 THEN 0 ELSE 1 END)
        ) AS s(status, day, n)
        WHERE s.n <> 0
        GROUP BY c.queue_id, s.status, s.day
    ), receipt AS MATERIALIZED (
        -- Looked up once for the whole batch. IS TRUE keeps the look-up a hashed one: there may be many that are gone.
        SELECT e.ended_at, g.id, g.attempt, g.holder
        FROM pgmill.task_gone e, unnest(e.ids, e.attempts, e.holders) AS g(id, attempt, holder)
        WHERE p_resend AND e.ended_at > now() - interval '10 minutes' AND (g.id IN (SELECT unnest(p_id))) IS TRUE
    )
    SELECT e.ord, 0::smallint, e.status, now(), e.run_at, e.attempt, coalesce(e.spared, 0), e.retries,
        e.queue_id, e.queue, e.priority, e.created_at, e.dies_at, e.started_at, e.worker, e.key,
        CASE WHEN e.open_fence THEN e.payload END
    FROM ended e
    UNION ALL
    SELECT w.ord, 0::smallint, w.status, now(), w.run_at, w.attempt, coalesce(w.spared, 0), w.retries,
        w.queue_id, w.queue, w.priority, w.created_at, w.dies_at, NULL, w.worker, w.key,
        CASE WHEN w.open_fence THEN w.payload END
    FROM waiting w
    UNION ALL
    SELECT a.ord, v.code::smallint, v.status, v.ended_at, v.run_at, v.attempt, v.spared, v.retries,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM asked a
    CROSS JOIN LATERAL (
        SELECT b.*
        FROM (
            -- Whatever became of the task since: an earlier sending ended this attempt.
            SELECT 0 AS code,
                CASE p.outcome
                    WHEN 0 THEN 1
                    WHEN 1 THEN 4
                    WHEN 5 THEN 6
                    WHEN 6 THEN 5
                    -- Given back or snoozed, it is new unless an attempt before it was counted.
                    ELSE EXISTS (SELECT FROM pgmill.task_attempt b
                        WHERE b.id = p.id AND b.attempt < p.attempt AND b.outcome IN (0, 2))::integer
                END::smallint AS status,
                p.ended_at, NULL::timestamptz AS run_at, p.attempt, NULL::integer AS spared, NULL::integer AS retries
            FROM pgmill.task_attempt p
            WHERE p_resend AND p.id = a.id AND p.attempt = a.attempt AND p.holder = a.holder
                AND (SELECT q.ns FROM pgmill.queue q WHERE q.id = p.queue_id) = a.ns
            UNION ALL
            -- Before the task as it is now: it may have been done, and then retried.
            SELECT 0, 3::smallint, g.ended_at, NULL, a.attempt, NULL, NULL
            FROM receipt g
            WHERE g.id = a.id AND g.attempt = a.attempt AND g.holder = a.holder
            UNION ALL
            SELECT CASE
                    WHEN t.lease_until IS NULL AND p_resend AND t.attempt = a.attempt AND t.holder = a.holder THEN 0
                    WHEN t.lease_until IS NULL THEN 2
                    WHEN a.attempt IS NULL AND t.holder % 2 = 1 THEN 5
                    WHEN a.attempt IS NULL OR (t.attempt = a.attempt AND t.holder = a.holder) THEN 4
                    ELSE 3
                END AS code,
                (CASE WHEN t.lease_until IS NOT NULL THEN 2 WHEN t.attempt > coalesce(t.spared, 0) THEN 1 ELSE 0 END)::smallint AS status,
                NULL::timestamptz AS ended_at, t.run_at, t.attempt, coalesce(t.spared, 0), t.retries
            FROM pgmill.task t
            WHERE t.id = a.id AND (SELECT q.ns FROM pgmill.queue q WHERE q.id = t.queue_id) = a.ns
            UNION ALL
            SELECT CASE WHEN p_resend AND f.attempt = a.attempt AND f.holder = a.holder THEN 0 ELSE 2 END,
                f.status, f.finished_at, f.delayed_at, f.attempt, coalesce(f.spared, 0), f.retries
            FROM pgmill.task_finished f
            WHERE f.id = a.id AND (SELECT q.ns FROM pgmill.queue q WHERE q.id = f.queue_id) = a.ns
            UNION ALL
            SELECT 1, NULL, NULL, NULL, NULL, NULL, NULL
        ) b
        LIMIT 1
    ) v
    WHERE (SELECT count(*) FROM changed) < cardinality(p_id) AND a.ord NOT IN (SELECT c.ord FROM changed c);
END
$$;
