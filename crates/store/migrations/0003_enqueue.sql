-- Whether the task that has a key still holds it: while it lives, and then until its retention ends.
--
-- Relies on: task_pkey, task_finished_id.
CREATE FUNCTION pgmill.key_is_held_v1(p_id bigint, p_retention bigint, p_retention_failed bigint) RETURNS boolean
LANGUAGE sql STABLE
AS $$
SELECT EXISTS (SELECT FROM pgmill.task t WHERE t.id = p_id)
    OR EXISTS (
        SELECT FROM pgmill.task_finished f
        WHERE f.id = p_id AND f.finished_at > now() - interval '1 microsecond'
            * CASE WHEN f.status = 3 THEN p_retention ELSE p_retention_failed END)
$$;

-- Inserts a batch of tasks and answers for each of them. One call is one flight of the enqueue batcher; the transaction
-- commits with it, or is the caller's own (p_flight null).
--
-- p_ns, p_queue    the distinct queues of the batch; the rows below point into them by p_slot (from 1)
-- p_id             reserved ids, ascending
-- p_delayed_at     earliest start, or null; p_delay the same as microseconds from now
-- p_key            idempotency keys, or null for a row without one
-- p_traceparent    trace contexts, likewise; null if no row has one
-- p_flight         the first id of the batch: names this sending
-- p_resend         the batch may have been committed by an earlier sending
-- p_all            create all or none: one that is refused (codes 1 and 2) refuses the others too, which then are answered
--                  as code 0 all the same
--
-- Answers a row for each task: code 0 created, 1 no such queue, 2 delayed_at in the past, 3 the key belongs to another
-- task (whose id is answered), 4 created by an earlier sending (the times in the answer are this sending's).
--
-- Locks: a shared advisory transaction lock on each queue, against delete_queue taking it exclusively: without it, a
-- batch that read the queue before its deletion and commits after it is acknowledged and never seen again. The queue is
-- read again once it is locked. A flight lock makes two sendings of one batch run one after the other. Keyed rows wait
-- for a foreign transaction that holds the same key, at most lock_timeout.
-- Relies on: queue_name, task_pkey, task_key_pkey. The plan does not depend on statistics: see retain_v1.
CREATE FUNCTION pgmill.enqueue_v1(
    p_ns text[], p_queue text[],
    p_id bigint[], p_slot integer[], p_payload text[], p_delayed_at timestamptz[], p_delay bigint[],
    p_priority smallint[], p_key text[], p_traceparent text[],
    p_flight bigint, p_resend boolean, p_all boolean
) RETURNS TABLE (
    ord integer, code smallint, id bigint, queue_id integer,
    created_at timestamptz, run_at timestamptz, dies_at timestamptz, retries integer
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
SET lock_timeout = '2s'
AS $$
#variable_conflict use_column
DECLARE
    -- now() is the start of the caller's transaction, which may be long ago: a task stamped with it would lie left of
    -- what workers have reached.
    v_now timestamptz := CASE WHEN p_flight IS NULL THEN clock_timestamp() ELSE now() END;
    v_locked integer[] := '{}';
    v_found integer[];
    v_settled bigint[] := '{}';
    v_refused boolean := false;
    v_queue record;
BEGIN
    -- What most calls that are not made in bulk come to: one task without a key, sent for the first time. It is created as
    -- any other below, by statements for one row, which take half the time.
    IF p_flight IS NOT NULL AND cardinality(p_id) = 1 AND p_key IS NULL AND NOT p_resend AND NOT p_all THEN
        ord := 1;
        id := p_id[1];
        created_at := v_now;
        run_at := greatest(coalesce(p_delayed_at[1], v_now + p_delay[1] * interval '1 microsecond'), v_now);
        code := 1;
        LOOP
            SELECT q.id INTO queue_id FROM pgmill.queue q WHERE q.ns = p_ns[1] AND q.queue = p_queue[1];
            EXIT WHEN NOT FOUND;
            PERFORM pg_advisory_xact_lock_shared(1886219625, queue_id),
                pg_advisory_xact_lock(1886219626, (p_flight % 2147483647)::integer);
            -- Another queue of this name may have come while the lock of the one before was waited for.
            SELECT q.ttl, q.retries, EXISTS (SELECT FROM pgmill.enqueue_resent r WHERE r.flight = p_flight) AS resent
            INTO v_queue
            FROM pgmill.queue q
            WHERE q.ns = p_ns[1] AND q.queue = p_queue[1] AND q.id = queue_id;
            IF FOUND THEN
                code := CASE WHEN p_delayed_at[1] < v_now - interval '1 second' THEN 2 ELSE 0 END;
                EXIT;
            END IF;
        END LOOP;
        IF code = 0 THEN
            IF v_queue.resent THEN
                RAISE EXCEPTION 'this batch was sent again and settled by the later sending'
                    USING ERRCODE = 'serialization_failure';
            END IF;
            IF current_setting('transaction_isolation') <> 'read committed' THEN
                PERFORM FROM pgmill.queue q WHERE q.id = queue_id FOR KEY SHARE;
            END IF;
            retries := v_queue.retries;
            dies_at := run_at + v_queue.ttl * interval '1 microsecond';
            INSERT INTO pgmill.task (id, run_at, created_at, dies_at, queue_id, retries, priority, payload, traceparent)
            VALUES (id, run_at, v_now, dies_at, queue_id, retries, p_priority[1], p_payload[1]::json, p_traceparent[1]);
            INSERT INTO pgmill.task_count_delta (queue_id, status, day, n) VALUES (queue_id, 0, '-infinity', 1);
        END IF;
        RETURN NEXT;
        RETURN;
    END IF;

    IF p_all THEN
        v_refused := EXISTS (SELECT FROM unnest(p_delayed_at) d WHERE d < v_now - interval '1 second');
    END IF;
    LOOP
        v_found := ARRAY(SELECT q.id FROM unnest(p_ns, p_queue) AS w(ns, queue)
            CROSS JOIN LATERAL (SELECT * FROM pgmill.queue q WHERE q.ns = w.ns AND q.queue = w.queue OFFSET 0) q
            ORDER BY q.id);
        EXIT WHEN v_found <@ v_locked;
        PERFORM pg_advisory_xact_lock_shared(1886219625, f) FROM unnest(v_found) f;
        v_locked := v_locked || v_found;
    END LOOP;

    v_refused := v_refused OR (p_all AND cardinality(v_found) < cardinality(p_queue));

    -- A transaction that reads by an old snapshot does not see what became of a queue before it was locked. This asks for
    -- the rows as they are now: one that is gone is a serialization failure (40001).
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM FROM pgmill.queue q WHERE q.id = ANY (v_locked) FOR KEY SHARE;
    END IF;

    IF p_flight IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(1886219626, (p_flight % 2147483647)::integer);
        IF p_resend THEN
            INSERT INTO pgmill.enqueue_resent (flight) VALUES (p_flight) ON CONFLICT DO NOTHING;
            v_settled := ARRAY(
                SELECT t.id FROM pgmill.task t WHERE t.id = ANY (p_id)
                UNION ALL
                SELECT f.id FROM pgmill.task_finished f
                WHERE f.id = ANY (p_id) AND f.finished_at > now() - interval '1 day'
                UNION ALL
                -- IS TRUE keeps the look-up a hashed one: there may be many that are gone.
                SELECT g.id FROM pgmill.task_gone e, unnest(e.ids) AS g(id)
                WHERE e.ended_at > now() - interval '10 minutes' AND (g.id IN (SELECT unnest(p_id))) IS TRUE);
        ELSIF EXISTS (SELECT FROM pgmill.enqueue_resent r WHERE r.flight = p_flight) THEN
            RAISE EXCEPTION 'this batch was sent again and settled by the later sending'
                USING ERRCODE = 'serialization_failure';
        END IF;
    END IF;

    IF p_key IS NOT NULL AND NOT v_refused THEN
        -- First the keys that are free, without a lock on those that are not; then those whose task is gone. That one is
        -- taken only from the owner it was seen with: of two who see the same stale key, one gets it.
        INSERT INTO pgmill.task_key (queue_id, key, id)
        SELECT DISTINCT ON (q.id, x.key) q.id, x.key, x.id
        FROM unnest(p_id, p_slot, p_delayed_at, p_key) AS x(id, slot, delayed_at, key)
        JOIN unnest(p_ns, p_queue) WITH ORDINALITY AS w(ns, queue, slot) ON w.slot = x.slot
        CROSS JOIN LATERAL (SELECT * FROM pgmill.queue q WHERE q.ns = w.ns AND q.queue = w.queue OFFSET 0) q
        WHERE q.id = ANY (v_locked) AND x.key IS NOT NULL AND x.id <> ALL (v_settled)
            AND (x.delayed_at IS NULL OR x.delayed_at >= v_now - interval '1 second')
        ORDER BY q.id, x.key, x.id
        ON CONFLICT (queue_id, key) DO NOTHING;

        WITH stale AS MATERIALIZED (
            SELECT DISTINCT ON (q.id, x.key) q.id AS queue_id, x.key, x.id, k.id AS owner
            FROM unnest(p_id, p_slot, p_delayed_at, p_key) AS x(id, slot, delayed_at, key)
            JOIN unnest(p_ns, p_queue) WITH ORDINALITY AS w(ns, queue, slot) ON w.slot = x.slot
            CROSS JOIN LATERAL (SELECT * FROM pgmill.queue q WHERE q.ns = w.ns AND q.queue = w.queue OFFSET 0) q
            CROSS JOIN LATERAL (SELECT * FROM pgmill.task_key k WHERE k.queue_id = q.id AND k.key = x.key OFFSET 0) k
            WHERE q.id = ANY (v_locked) AND k.id <> ALL (p_id) AND x.id <> ALL (v_settled)
                AND (x.delayed_at IS NULL OR x.delayed_at >= v_now - interval '1 second')
                AND NOT pgmill.key_is_held_v1(k.id, q.retention, q.retention_failed)
            ORDER BY q.id, x.key, x.id
        )
        UPDATE pgmill.task_key k SET id = s.id
        FROM stale s
        WHERE k.queue_id = s.queue_id AND k.key = s.key AND k.id = s.owner;
    END IF;

    RETURN QUERY
    WITH queue AS MATERIALIZED (
        SELECT w.slot::integer AS slot, q.id, q.ttl, q.retries
        FROM unnest(p_ns, p_queue) WITH ORDINALITY AS w(ns, queue, slot)
        CROSS JOIN LATERAL (SELECT * FROM pgmill.queue q WHERE q.ns = w.ns AND q.queue = w.queue OFFSET 0) q
        WHERE q.id = ANY (v_locked)
    ), given AS MATERIALIZED (
        SELECT x.ord::integer AS ord, x.id, x.payload, x.priority, x.key, x.traceparent, q.id AS queue_id, q.ttl, q.retries,
            greatest(coalesce(x.delayed_at, v_now + x.delay * interval '1 microsecond'), v_now) AS run_at,
            CASE
                WHEN q.id IS NULL THEN 1
                WHEN x.delayed_at < v_now - interval '1 second' THEN 2
                ELSE 0
            END AS code,
            CASE WHEN x.key IS NOT NULL THEN
                (SELECT k.id FROM pgmill.task_key k WHERE k.queue_id = q.id AND k.key = x.key)
            END AS owner
        FROM unnest(p_id, p_slot, p_payload, p_delayed_at, p_delay, p_priority, p_key, p_traceparent)
            WITH ORDINALITY AS x(id, slot, payload, delayed_at, delay, priority, key, traceparent, ord)
        LEFT JOIN queue q ON q.slot = x.slot
    ), made AS (
        INSERT INTO pgmill.task (id, run_at, created_at, dies_at, queue_id, retries, priority, payload, key, traceparent)
        SELECT g.id, g.run_at, v_now, g.run_at + g.ttl * interval '1 microsecond', g.queue_id, g.retries, g.priority,
            g.payload::json, g.key, g.traceparent
        FROM given g
        WHERE NOT v_refused AND (NOT p_all OR NOT EXISTS (SELECT FROM given r WHERE r.code <> 0))
            AND g.code = 0 AND (g.key IS NULL OR g.owner = g.id) AND (NOT p_resend OR g.id <> ALL (v_settled))
        -- In ascending order of ids, so that the pages of the indexes fill up instead of being split in the middle.
        ORDER BY g.ord
        RETURNING queue_id
    ), counted AS (
        INSERT INTO pgmill.task_count_delta (queue_id, status, day, n)
        SELECT m.queue_id, 0, '-infinity', count(*) FROM made m GROUP BY m.queue_id
    )
    SELECT g.ord,
        (CASE
            WHEN p_resend AND g.id = ANY (v_settled) THEN 4
            WHEN g.code = 0 AND g.key IS NOT NULL AND g.owner IS DISTINCT FROM g.id THEN 3
            ELSE g.code
        END)::smallint,
        CASE WHEN g.code = 0 THEN coalesce(g.owner, g.id) ELSE g.id END,
        g.queue_id, v_now, g.run_at, g.run_at + g.ttl * interval '1 microsecond', g.retries
    FROM given g;
END
$$;
