-- What an operator does to a single task: cancel_v1 ends a live one, retry_v1 makes a finished one live again. Neither is
-- hot, and neither waits for a task that somebody holds.

-- Ends a live task as cancelled, whether it waits or is retained.
--
-- Answers one row: code 0 cancelled, with the task as it is now; 1 no such task in this namespace; 2 it has ended, with its
-- status; 4 locked by another transaction: nothing changed, to be tried again. A task past dies_at has ended, though the
-- sweep has not been there yet.
--
-- The attempt of a retained task is over: an extension finds nothing, and a release finds it not retained. No holder is kept, so
-- that a repeated release does not take this end for its own. What the last attempt reported stays as the result.
--
-- The plan does not depend on statistics: see retain_v1.
--
-- Locks: the row; skipped if it is locked. Never waits. Relies on: task_pkey, task_finished_id.
CREATE FUNCTION pgmill.cancel_v1(p_ns text, p_id bigint) RETURNS TABLE (
    code smallint, status smallint, queue text, priority smallint, created_at timestamptz, delayed_at timestamptz,
    dies_at timestamptz, attempt integer, spared integer, retries integer, worker text, key text, payload json, result json,
    traceparent text
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
    WITH held AS MATERIALIZED (
        SELECT l.*
        FROM (SELECT p_id AS id) a
        CROSS JOIN LATERAL (
            SELECT t.ctid AS tid, q.queue
            FROM pgmill.task t
            CROSS JOIN LATERAL (SELECT * FROM pgmill.queue q WHERE q.id = t.queue_id OFFSET 0) q
            WHERE t.id = a.id AND q.ns = p_ns AND (t.dies_at IS NULL OR t.dies_at > now())
            FOR UPDATE OF t SKIP LOCKED
        ) l
    ), ended AS (
        DELETE FROM pgmill.task t
        USING held h
        WHERE t.ctid = h.tid
        RETURNING t.*, h.queue
    ), kept AS (
        INSERT INTO pgmill.task_finished (id, finished_at, created_at, delayed_at, dies_at, started_at, holder, queue_id,
            retries, attempt, spared, status, priority, worker, payload, key, result, traceparent)
        SELECT e.id, now(), e.created_at, CASE WHEN e.run_at <> e.created_at THEN e.run_at END, e.dies_at, e.started_at,
            NULL, e.queue_id, e.retries, e.attempt, e.spared, 6, e.priority, e.worker, e.payload, e.key, e.result,
            e.traceparent
        FROM ended e
    ), tried AS (
        INSERT INTO pgmill.task_attempt (id, queue_id, attempt, started_at, ended_at, outcome, worker)
        SELECT e.id, e.queue_id, e.attempt, e.started_at, now(), 5, e.worker
        FROM ended e WHERE e.lease_until IS NOT NULL
    ), counted AS (
        INSERT INTO pgmill.task_count_delta (queue_id, status, day, n)
        SELECT e.queue_id, s.status, s.day, s.n
        FROM ended e
        CROSS JOIN LATERAL (VALUES
            (CASE WHEN e.lease_until IS NOT NULL THEN 2 WHEN e.attempt = coalesce(e.spared, 0) THEN 0 ELSE 1 END,
                date '-infinity', -1),
            (6, (now() AT TIME ZONE 'UTC')::date, 1)
        ) AS s(status, day, n)
    )
    SELECT 0::smallint, 6::smallint, e.queue, e.priority, e.created_at,
        CASE WHEN e.run_at <> e.created_at THEN e.run_at END, e.dies_at, e.attempt, coalesce(e.spared, 0), e.retries, e.worker, e.key,
        e.payload, e.result, e.traceparent
    FROM ended e
    UNION ALL
    SELECT b.code::smallint, b.status, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM (
        SELECT CASE WHEN t.dies_at <= now() THEN 2 ELSE 4 END AS code, 5::smallint AS status
        FROM pgmill.task t
        WHERE t.id = p_id AND (SELECT q.ns FROM pgmill.queue q WHERE q.id = t.queue_id) = p_ns
        UNION ALL
        SELECT 2, f.status
        FROM pgmill.task_finished f
        WHERE f.id = p_id AND (SELECT q.ns FROM pgmill.queue q WHERE q.id = f.queue_id) = p_ns
        UNION ALL
        SELECT 1, NULL
        LIMIT 1
    ) b
    WHERE NOT EXISTS (SELECT FROM ended);
END
$$;

-- Makes a finished task live again, under its id and in its queue, with as many attempts as the queue now grants, due now.
--
-- Answers one row: code 0 it is live, with the task as it is now; 1 no such task in this namespace; 2 it has not ended, with its
-- status; 4 locked by another transaction: nothing changed, to be tried again; 5 its key belongs to another task by now (whose
-- id is answered as key_holder). A task past dies_at has ended, though the sweep has not been there yet.
--
-- p_flight is a reserved id that names this retry, noted in enqueue_resent: of two sendings, whichever comes first retries the task,
-- and the other does not do so again, though it may have ended anew by then.
--
-- attempt goes on counting, and spared becomes as much: so no attempt is used twice, and none of the past ones counts. The
-- holder is cleared: a release of a past attempt that comes late or once more finds nothing of its own here. One that was done
-- leaves a receipt in task_gone instead, by which its repetition is told so, and not that the task waits.
--
-- Locks: the queue's advisory transaction lock, shared, as an enqueue (enqueue_v1); then the row, skipped if it is locked; then
-- its key, for which it waits at most lock_timeout. The key is deleted and written anew rather than updated: an enqueue that
-- saw it as stale would still take an updated one over.
-- Relies on: task_pkey, task_finished_id, task_key_pkey, enqueue_resent_pkey. The plan does not depend on statistics: see retain_v1.
CREATE FUNCTION pgmill.retry_v1(p_ns text, p_id bigint, p_flight bigint) RETURNS TABLE (
    code smallint, status smallint, key_holder bigint, queue text, priority smallint, created_at timestamptz,
    delayed_at timestamptz, dies_at timestamptz, attempt integer, spared integer, retries integer, worker text, key text,
    payload json, result json, traceparent text
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
SET lock_timeout = '2s'
AS $$
#variable_conflict use_column
DECLARE
    v_queue pgmill.queue;
    v_seen record;
    v_owner bigint;
    v_now timestamptz;
BEGIN
    SELECT b.* INTO v_seen
    FROM (
        SELECT t.queue_id, pgmill.live_status_v1(t.dies_at, t.lease_until, t.attempt, t.spared) AS status, t.key, true AS live
        FROM pgmill.task t WHERE t.id = p_id
        UNION ALL
        SELECT f.queue_id, f.status, f.key, false FROM pgmill.task_finished f WHERE f.id = p_id
    ) b
    LIMIT 1;
    IF FOUND THEN
        PERFORM pg_advisory_xact_lock_shared(1886219625, v_seen.queue_id);
        SELECT q.* INTO v_queue
        FROM (SELECT * FROM pgmill.queue q WHERE q.id = v_seen.queue_id OFFSET 0) q
        WHERE q.ns = p_ns;
    END IF;
    IF EXISTS (SELECT FROM pgmill.enqueue_resent r WHERE r.flight = p_flight) THEN
        code := 6;
    ELSIF v_queue.id IS NULL THEN
        code := 1;
    ELSIF v_seen.status < 3 THEN
        code := 2;
        status := v_seen.status;
    ELSIF v_seen.live THEN
        PERFORM FROM pgmill.task t WHERE t.id = p_id AND t.dies_at <= now() FOR UPDATE SKIP LOCKED;
    ELSE
        PERFORM FROM pgmill.task_finished f WHERE f.id = p_id FOR UPDATE SKIP LOCKED;
    END IF;
    -- Locked by somebody, or not what it was a moment ago.
    IF code IS NULL AND NOT FOUND THEN
        code := 4;
    END IF;
    IF code IS NULL AND v_seen.key IS NOT NULL THEN
        DELETE FROM pgmill.task_key k WHERE k.queue_id = v_queue.id AND k.key = v_seen.key AND k.id = p_id;
        INSERT INTO pgmill.task_key (queue_id, key, id) VALUES (v_queue.id, v_seen.key, p_id)
        ON CONFLICT (queue_id, key) DO NOTHING;
        SELECT k.id INTO v_owner FROM pgmill.task_key k WHERE k.queue_id = v_queue.id AND k.key = v_seen.key;
        IF v_owner IS NULL THEN
            code := 4;
        ELSIF v_owner <> p_id AND pgmill.key_is_held_v1(v_owner, v_queue.retention, v_queue.retention_failed) THEN
            code := 5;
            key_holder := v_owner;
        ELSIF v_owner <> p_id THEN
            -- From exactly the owner that was seen, as an enqueue does.
            UPDATE pgmill.task_key k SET id = p_id
            WHERE k.queue_id = v_queue.id AND k.key = v_seen.key AND k.id = v_owner;
            IF NOT FOUND THEN
                code := 4;
            END IF;
        END IF;
    END IF;
    IF code IS NULL THEN
        INSERT INTO pgmill.enqueue_resent (flight) VALUES (p_flight) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            code := 6;
        END IF;
    END IF;
    IF code IS NOT NULL THEN
        RETURN NEXT;
        RETURN;
    END IF;

    -- Not now(), which may lie before a wait for locks: workers may have passed that place.
    v_now := clock_timestamp();
    RETURN QUERY
    WITH ended AS (
        DELETE FROM pgmill.task_finished f WHERE NOT v_seen.live AND f.id = p_id
        RETURNING f.queue_id, f.status, f.finished_at, f.attempt, f.holder, f.created_at, f.priority, f.worker, f.payload,
            f.key, f.traceparent
    ), lapsed AS MATERIALIZED (
        SELECT t.* FROM pgmill.task t WHERE v_seen.live AND t.id = p_id
    ), made AS (
        INSERT INTO pgmill.task (id, run_at, created_at, dies_at, queue_id, retries, priority, attempt, spared, worker,
            payload, key, traceparent)
        SELECT p_id, v_now, e.created_at, v_now + v_queue.ttl * interval '1 microsecond', e.queue_id, v_queue.retries,
            e.priority, e.attempt, e.attempt, e.worker, e.payload, e.key, e.traceparent
        FROM ended e
        RETURNING *
    ), revived AS (
        UPDATE pgmill.task t
        SET run_at = v_now, dies_at = v_now + v_queue.ttl * interval '1 microsecond', retries = v_queue.retries,
            spared = t.attempt, lease_until = NULL, started_at = NULL, holder = NULL, result = NULL, tried = false
        WHERE v_seen.live AND t.id = p_id
        RETURNING t.*
    ), tried AS (
        INSERT INTO pgmill.task_attempt (id, queue_id, attempt, started_at, ended_at, outcome, worker)
        SELECT l.id, l.queue_id, l.attempt, l.started_at, now(), 2, l.worker
        FROM lapsed l WHERE l.lease_until IS NOT NULL
    ), receipt AS (
        INSERT INTO pgmill.task_gone (ended_at, ids, attempts, holders)
        SELECT now(), ARRAY[p_id], ARRAY[e.attempt], ARRAY[e.holder]
        FROM ended e
        WHERE e.status = 3 AND e.finished_at > now() - interval '10 minutes'
    ), counted AS (
        INSERT INTO pgmill.task_count_delta (queue_id, status, day, n)
        SELECT e.queue_id, e.status, (e.finished_at AT TIME ZONE 'UTC')::date, -1 FROM ended e
        UNION ALL
        SELECT l.queue_id, CASE WHEN l.lease_until IS NOT NULL THEN 2 WHEN l.attempt = coalesce(l.spared, 0) THEN 0 ELSE 1 END,
            '-infinity', -1
        FROM lapsed l
        UNION ALL
        SELECT v_queue.id, 0, '-infinity', 1
    )
    SELECT 0::smallint, 0::smallint, NULL::bigint, v_queue.queue, n.priority, n.created_at, n.run_at, n.dies_at, n.attempt,
        n.spared, n.retries, n.worker, n.key, n.payload, n.result, n.traceparent
    FROM (SELECT * FROM made UNION ALL SELECT * FROM revived) n;
END
$$;
