-- Extends running leases of one namespace to p_lease microseconds from now (per entry; null: the queue's lease), never past dies_at.
-- Answers until when each lease runs. An entry that is missing is lost (the fence). One that another transaction was
-- changing just now is answered with its old end: the next extension tells.
--
-- The plan does not depend on statistics: see retain_v1.
--
-- Locks: the rows, in id order, skipping locked ones. Never waits. Relies on: task_pkey.
CREATE FUNCTION pgmill.extend_v1(p_ns text, p_id bigint[], p_attempt integer[], p_holder bigint[], p_lease bigint[])
RETURNS TABLE (ord integer, lease_until timestamptz)
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
        SELECT x.ord::integer AS ord, l.*
        FROM unnest(p_id, p_attempt, p_holder, p_lease) WITH ORDINALITY AS x(id, attempt, holder, lease, ord)
        CROSS JOIN LATERAL (
            SELECT t.ctid AS tid,
                least(now() + coalesce(x.lease, q.lease) * interval '1 microsecond', t.dies_at) AS lease_until
            FROM pgmill.task t
            CROSS JOIN LATERAL (SELECT * FROM pgmill.queue q WHERE q.id = t.queue_id OFFSET 0) q
            WHERE q.ns = p_ns AND t.id = x.id AND t.attempt = x.attempt AND t.holder = x.holder
                AND t.lease_until IS NOT NULL
            FOR UPDATE OF t SKIP LOCKED
        ) l
    ), extended AS (
        UPDATE pgmill.task t
        SET lease_until = h.lease_until
        FROM held h
        WHERE t.ctid = h.tid
        RETURNING h.ord, t.lease_until
    )
    SELECT e.ord, e.lease_until FROM extended e
    UNION ALL
    SELECT x.ord::integer, t.lease_until
    FROM unnest(p_id, p_attempt, p_holder) WITH ORDINALITY AS x(id, attempt, holder, ord)
    CROSS JOIN LATERAL (
        SELECT t.lease_until FROM pgmill.task t
        WHERE t.id = x.id AND t.attempt = x.attempt AND t.holder = x.holder AND t.lease_until IS NOT NULL
            AND (SELECT q.ns FROM pgmill.queue q WHERE q.id = t.queue_id) = p_ns
        OFFSET 0
    ) t
    WHERE (SELECT count(*) FROM extended) < cardinality(p_id) AND x.ord NOT IN (SELECT e.ord FROM extended e);
END
$$;
