-- Deletes a queue and answers its row, or none where there is no such queue. Its tasks are out of sight at once, for every
-- statement joins the queue; maintenance deletes their rows and keys.
--
-- Locks: the queue's advisory transaction lock, exclusively: it waits for every enqueue under way, so that none of them
-- commits a task into a queue that is gone. It stands in line for it only 50 ms at a time, for behind it all enqueues into
-- the queue stand too, and with them the batches they are in. Given up after 5 s with 55P03 (a transaction that enqueued
-- is still open).
CREATE FUNCTION pgmill.delete_queue_v1(p_ns text, p_queue text) RETURNS SETOF pgmill.queue
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '50ms'
AS $$
DECLARE
    v_id integer;
    v_gone pgmill.queue;
    v_until timestamptz := clock_timestamp() + interval '5 s';
BEGIN
    LOOP
        SELECT q.id INTO v_id FROM pgmill.queue q WHERE q.ns = p_ns AND q.queue = p_queue;
        EXIT WHEN NOT FOUND;
        BEGIN
            PERFORM pg_advisory_xact_lock(1886219625, v_id);
        EXCEPTION WHEN lock_not_available THEN
            IF clock_timestamp() > v_until THEN
                RAISE;
            END IF;
            PERFORM pg_sleep(0.1);
            CONTINUE;
        END;
        DELETE FROM pgmill.queue q WHERE q.id = v_id AND q.ns = p_ns AND q.queue = p_queue RETURNING q.* INTO v_gone;
        IF FOUND THEN
            DELETE FROM pgmill.task_count c WHERE c.queue_id = v_id;
            RETURN NEXT v_gone;
            EXIT;
        END IF;
    END LOOP;
END
$$;

-- Removes finished tasks of a queue now, oldest first, and answers them. Their keys are free from then on.
--
-- Locks: the rows it removes, skipping locked ones. Relies on: task_finished_status.
CREATE FUNCTION pgmill.clean_queue_v1(p_ns text, p_queue text, p_limit integer) RETURNS SETOF pgmill.task_finished
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH oldest AS MATERIALIZED (
        SELECT o.id, o.finished_at
        FROM pgmill.queue q
        CROSS JOIN generate_series(3, 6) AS s(status)
        CROSS JOIN LATERAL (
            SELECT f.id, f.created_at, f.finished_at FROM pgmill.task_finished f
            WHERE f.queue_id = q.id AND f.status = s.status::smallint
            ORDER BY f.created_at, f.id + 0 LIMIT p_limit
        ) o
        WHERE q.ns = p_ns AND q.queue = p_queue
        ORDER BY o.created_at, o.id LIMIT p_limit
    ), locked AS MATERIALIZED (
        SELECT f.tableoid AS part, f.ctid AS tid FROM oldest o
        JOIN pgmill.task_finished f ON f.id = o.id AND f.finished_at = o.finished_at
        FOR UPDATE OF f SKIP LOCKED
    ), removed AS (
        DELETE FROM pgmill.task_finished f
        USING oldest o, locked l
        WHERE f.id = o.id AND f.finished_at = o.finished_at AND f.tableoid = l.part AND f.ctid = l.tid
        RETURNING f.*
    ), receipt AS (
        -- A repeated enqueue or release is still told that it was done.
        INSERT INTO pgmill.task_gone (ended_at, ids, attempts, holders)
        SELECT now(), array_agg(r.id), array_agg(r.attempt), array_agg(r.holder)
        FROM removed r
        WHERE r.finished_at > now() - interval '10 minutes'
        HAVING count(*) > 0
    ), counted AS (
        INSERT INTO pgmill.task_count_delta (queue_id, status, day, n)
        SELECT r.queue_id, r.status, (r.finished_at AT TIME ZONE 'UTC')::date, -count(*)
        FROM removed r GROUP BY 1, 2, 3
    )
    SELECT * FROM removed r ORDER BY r.created_at, r.id;
END
$$;
