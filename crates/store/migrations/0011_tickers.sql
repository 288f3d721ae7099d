-- Tickers: what ticks, and when it is due next.
--
-- next_at is a point of the grid always, so that a tick that is taken late moves nothing. Who moves next_at on has the
-- tick: that one statement is all there is to "exactly once".

CREATE TABLE pgmill.ticker (
    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ns          text COLLATE "C" NOT NULL,
    ticker      text COLLATE "C" NOT NULL,
    payload     json NOT NULL,
    "interval"  bigint CHECK ("interval" BETWEEN 1000 AND 3153600000000000),
    cron        text,
    time_zone   text,
    policy      smallint NOT NULL CHECK (policy BETWEEN 0 AND 2),
    catch_up    integer NOT NULL CHECK (catch_up BETWEEN 1 AND 1000),
    queue       text COLLATE "C",
    priority    smallint NOT NULL CHECK (priority BETWEEN 0 AND 9),
    ts          timestamptz,
    next_at     timestamptz,
    ticks       bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    holder      bigint,
    CONSTRAINT ticker_name UNIQUE (ns, ticker),
    CONSTRAINT ticker_schedule CHECK ("interval" IS NULL OR cron IS NULL),
    CONSTRAINT ticker_zone CHECK ((cron IS NULL) = (time_zone IS NULL)),
    CONSTRAINT ticker_due CHECK ((next_at IS NULL) = ("interval" IS NULL AND cron IS NULL)),
    CONSTRAINT ticker_lease CHECK ((lease_until IS NULL) = (holder IS NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0);
CREATE INDEX ticker_due ON pgmill.ticker (ns, next_at);
CREATE INDEX ticker_queue_due ON pgmill.ticker (next_at) WHERE queue IS NOT NULL;
CREATE INDEX ticker_leased ON pgmill.ticker (id) WHERE lease_until IS NOT NULL;
COMMENT ON TABLE pgmill.ticker IS 'One row a ticker. Those of the namespace pgmill are the jobs of maintenance.';
COMMENT ON COLUMN pgmill.ticker."interval" IS 'Microseconds from tick to tick; null: it goes by cron, or is disabled.';
COMMENT ON COLUMN pgmill.ticker.policy IS 'What becomes of missed ticks: 0 coalesce, 1 skip, 2 catch_up.';
COMMENT ON COLUMN pgmill.ticker.queue IS 'The queue, of the same namespace, in which each tick makes a task; null: ticks are handed out.';
COMMENT ON COLUMN pgmill.ticker.ts IS 'The grid point of the last tick.';
COMMENT ON COLUMN pgmill.ticker.next_at IS 'The grid point that is due next; null: disabled.';
COMMENT ON COLUMN pgmill.ticker.lease_until IS 'Until when whoever took the tick keeps others from the next one. Only jobs of maintenance are leased.';

-- Takes due ticks: moves their tickers on along the grid, makes the tasks of those with a target queue, and answers them.
--
-- p_ns        the namespace; null: the tickers of all namespaces that have a target queue
-- p_names     only these tickers of the namespace; null: all
-- p_limit     how many ticks at most, apart from the decisions below
-- p_lease     keeps others from a ticker that is taken for so many microseconds, under p_holder; null: does not
-- p_now       the time, in place of the database's (for tests)
-- p_cron_…    decisions about cron tickers, which cannot be made in SQL: the ticker, the next_at they were made on, the
--             stamp of the tick, the next one, and whether it fires or was missed for good. A decision that was made on
--             another next_at is void: somebody else took the tick.
--
-- Answers rows of three kinds: 0 a tick, with its grid point as ts, and the id of its task (with a target queue, null if
-- the queue is missing); 1 a cron ticker that is due and waits for a decision; 2, once, the time, and after how many
-- microseconds to ask again (null: nothing will be due).
--
-- Locks: the tickers it moves, skipping locked ones; with a target queue those of enqueue_v1, held to the end of the
-- statement. Candidates are more than the limit, so that claims side by side find enough beyond each other's.
-- Relies on: ticker_due, ticker_queue_due, ticker_name, ticker_leased. The plan does not depend on statistics: see retain_v1.
CREATE FUNCTION pgmill.claim_ticks_v1(
    p_ns text, p_names text[], p_limit integer, p_lease bigint, p_holder bigint, p_now timestamptz,
    p_cron_id integer[], p_cron_seen timestamptz[], p_cron_at timestamptz[], p_cron_next timestamptz[],
    p_cron_fire boolean[]
) RETURNS TABLE (
    kind smallint, id integer, ns text, ticker text, payload text, "interval" bigint, cron text, time_zone text,
    policy smallint, catch_up integer, queue text, priority smallint, ts timestamptz, next_at timestamptz,
    task_id bigint, wait bigint, clock timestamptz
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_material = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz := coalesce(p_now, now());
    v_due integer[];
    v_next timestamptz;
    v_moved integer[];
    v_left boolean;
BEGIN
    IF p_ns IS NULL THEN
        v_due := ARRAY(SELECT t.id FROM pgmill.ticker t
            WHERE t.queue IS NOT NULL AND t.next_at <= v_now AND (t.lease_until IS NULL OR t.lease_until <= v_now)
            ORDER BY t.next_at LIMIT 1000);
        v_next := (SELECT t.next_at FROM pgmill.ticker t
            WHERE t.queue IS NOT NULL AND t.next_at > v_now AND t.lease_until IS NULL ORDER BY t.next_at LIMIT 1);
    ELSIF p_names IS NULL THEN
        v_due := ARRAY(SELECT t.id FROM pgmill.ticker t
            WHERE t.ns = p_ns AND t.next_at <= v_now AND (t.lease_until IS NULL OR t.lease_until <= v_now)
            ORDER BY t.next_at LIMIT 1000);
        v_next := (SELECT t.next_at FROM pgmill.ticker t
            WHERE t.ns = p_ns AND t.next_at > v_now AND t.lease_until IS NULL ORDER BY t.next_at LIMIT 1);
    ELSE
        v_due := ARRAY(SELECT t.id
            FROM unnest(p_names) AS n(ticker)
            CROSS JOIN LATERAL (SELECT * FROM pgmill.ticker t WHERE t.ns = p_ns AND t.ticker = n.ticker OFFSET 0) t
            WHERE t.next_at <= v_now AND (t.lease_until IS NULL OR t.lease_until <= v_now)
            ORDER BY t.next_at LIMIT 1000);
        v_next := (SELECT min(t.next_at)
            FROM unnest(p_names) AS n(ticker)
            CROSS JOIN LATERAL (SELECT * FROM pgmill.ticker t WHERE t.ns = p_ns AND t.ticker = n.ticker OFFSET 0) t
            WHERE t.next_at > v_now AND t.lease_until IS NULL);
    END IF;

    -- The locks come first, in a statement of their own: the next one sees the rows as they are under them.
    v_moved := ARRAY(
        SELECT l.id
        FROM unnest(v_due) WITH ORDINALITY AS d(id, ord)
        CROSS JOIN LATERAL (
            SELECT t.id FROM pgmill.ticker t
            WHERE t.id = d.id AND t.interval IS NOT NULL AND t.next_at <= v_now
                AND (t.lease_until IS NULL OR t.lease_until <= v_now)
            FOR UPDATE SKIP LOCKED
        ) l
        LIMIT p_limit);

    RETURN QUERY
    WITH decided AS MATERIALIZED (
        SELECT l.tid, d.at, d.next, d.fire
        FROM unnest(p_cron_id, p_cron_seen, p_cron_at, p_cron_next, p_cron_fire) AS d(id, seen, at, next, fire)
        CROSS JOIN LATERAL (
            SELECT t.ctid AS tid FROM pgmill.ticker t
            WHERE t.id = d.id AND t.cron IS NOT NULL AND t.next_at = d.seen
                AND (t.lease_until IS NULL OR t.lease_until <= v_now)
            FOR UPDATE SKIP LOCKED
        ) l
        WHERE d.seen <= v_now AND d.next > d.seen
    ), missed AS MATERIALIZED (
        SELECT t.tid, t.next_at, t.interval, t.policy, m.late / t.interval AS points, m.late % t.interval AS rest, t.catch_up
        FROM unnest(v_moved) AS v(id)
        CROSS JOIN LATERAL (SELECT t.ctid AS tid, t.* FROM pgmill.ticker t WHERE t.id = v.id OFFSET 0) t
        CROSS JOIN LATERAL (
            SELECT round(extract(epoch FROM v_now - t.next_at) * 1000000)::bigint AS late
        ) m
    ), step AS MATERIALIZED (
        SELECT m.tid, m.next_at + g.point * m.interval * interval '1 microsecond' AS at,
            m.next_at + (g.point + 1) * m.interval * interval '1 microsecond' AS next,
            m.policy <> 1 OR m.rest <= least(m.interval, 60000000) AS fire
        FROM missed m
        CROSS JOIN LATERAL (
            SELECT CASE WHEN m.policy = 2 THEN greatest(m.points - m.catch_up + 1, 0) ELSE m.points END AS point
        ) g
        UNION ALL
        SELECT d.tid, d.at, d.next, d.fire FROM decided d
    ), ticked AS (
        UPDATE pgmill.ticker t
        SET next_at = s.next,
            ts = CASE WHEN s.fire THEN s.at ELSE t.ts END,
            ticks = t.ticks + s.fire::integer,
            lease_until = CASE WHEN s.fire THEN v_now + p_lease * interval '1 microsecond' END,
            holder = CASE WHEN s.fire AND p_lease IS NOT NULL THEN p_holder END
        FROM step s
        WHERE t.ctid = s.tid
        RETURNING t.*, s.fire
    ), target AS MATERIALIZED (
        SELECT array_agg(t.id) AS id, array_agg(t.ns) AS ns, array_agg(t.queue) AS queue,
            array_agg(nextval('pgmill.task_id')) AS task_id, array_agg(t.payload::text) AS payload,
            array_agg(t.priority) AS priority, array_agg(NULL::timestamptz) AS delayed_at, array_agg(NULL::bigint) AS delay
        FROM ticked t
        WHERE t.fire AND t.queue IS NOT NULL
        HAVING count(*) > 0
    ), made AS MATERIALIZED (
        SELECT a.id[e.ord] AS ticker_id, e.id AS task_id
        FROM target a
        CROSS JOIN LATERAL pgmill.enqueue_v1(
            p_ns => a.ns, p_queue => a.queue, p_id => a.task_id,
            p_slot => ARRAY(SELECT generate_series(1, cardinality(a.id))), p_payload => a.payload,
            p_delayed_at => a.delayed_at, p_delay => a.delay, p_priority => a.priority, p_key => NULL,
            p_traceparent => NULL, p_flight => NULL, p_resend => false, p_all => false) e
        WHERE e.code = 0
    )
    SELECT 0::smallint, t.id, t.ns, t.ticker, t.payload::text, t.interval, t.cron, t.time_zone, t.policy, t.catch_up,
        t.queue, t.priority, t.ts, t.next_at, (SELECT m.task_id FROM made m WHERE m.ticker_id = t.id), NULL::bigint, v_now
    FROM ticked t
    WHERE t.fire
    ORDER BY t.ts, t.id;

    RETURN QUERY
    SELECT 1::smallint, t.id, t.ns, t.ticker, t.payload::text, t.interval, t.cron, t.time_zone, t.policy, t.catch_up,
        t.queue, t.priority, t.ts, t.next_at, NULL::bigint, NULL::bigint, v_now
    FROM unnest(v_due) WITH ORDINALITY AS d(id, ord)
    CROSS JOIN LATERAL (
        SELECT * FROM pgmill.ticker t
        WHERE t.id = d.id AND t.cron IS NOT NULL AND t.next_at <= v_now
            AND (t.lease_until IS NULL OR t.lease_until <= v_now)
        OFFSET 0
    ) t
    ORDER BY d.ord
    LIMIT 100;

    -- What was due and was not taken: beyond the limit, still missed, or held by somebody else just now.
    v_left := EXISTS (SELECT
        FROM unnest(v_due) AS d(id)
        CROSS JOIN LATERAL (SELECT * FROM pgmill.ticker t WHERE t.id = d.id OFFSET 0) t
        WHERE t.interval IS NOT NULL AND t.next_at <= v_now AND (t.lease_until IS NULL OR t.lease_until <= v_now));
    v_next := least(v_next,
        (SELECT min(t.next_at)
            FROM unnest(v_due || p_cron_id) AS d(id)
            CROSS JOIN LATERAL (SELECT * FROM pgmill.ticker t WHERE t.id = d.id OFFSET 0) t
            WHERE t.next_at > v_now AND t.lease_until IS NULL),
        (SELECT min(greatest(t.next_at, t.lease_until)) FROM pgmill.ticker t
            WHERE t.lease_until IS NOT NULL AND greatest(t.next_at, t.lease_until) > v_now
                AND CASE WHEN p_ns IS NULL THEN t.queue IS NOT NULL ELSE t.ns = p_ns END
                AND (p_names IS NULL OR t.ticker = ANY (p_names))),
        CASE
            WHEN v_left AND (p_limit = 0 OR cardinality(v_moved) > 0) THEN v_now
            WHEN v_left THEN v_now + interval '100 milliseconds'
        END);
    kind := 2;
    wait := round(extract(epoch FROM v_next - v_now) * 1000000);
    clock := v_now;
    RETURN NEXT;
END
$$;
