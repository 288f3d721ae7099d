-- The schema as the migrations make it, by pg_dump. Not run by anything: it is here to be read, and for a change of
-- the migrations to be seen as what it changes. Written by UPDATE_SCHEMA=1 cargo test -p pgmill-store schema
-- Name: pgmill; Type: SCHEMA; Schema: -; Owner: -

CREATE SCHEMA pgmill;

-- Name: cancel_v1(text, bigint); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.cancel_v1(p_ns text, p_id bigint) RETURNS TABLE(code smallint, status smallint, queue text, priority smallint, created_at timestamp with time zone, delayed_at timestamp with time zone, dies_at timestamp with time zone, attempt integer, spared integer, retries integer, worker text, key text, payload json, result json, traceparent text)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
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

-- Name: check_queues_v1(integer, integer); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.check_queues_v1(p_scan integer, p_reach integer) RETURNS TABLE(ns text, queue text, live bigint, done bigint, failed bigint, seen boolean, paused bigint, waited bigint, lapsed bigint, lapses bigint, held boolean, asked boolean, ticked boolean, keeps boolean)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_material TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH counted AS MATERIALIZED (
        SELECT c.queue_id,
            coalesce(sum(c.n) FILTER (WHERE c.status < 3), 0)::bigint AS live,
            coalesce(sum(c.n) FILTER (WHERE c.status = 3 AND c.day >= current_date - 1), 0)::bigint AS done,
            coalesce(sum(c.n) FILTER (WHERE c.status = 4 AND c.day >= current_date - 1), 0)::bigint AS failed,
            sum(c.n) > 0 AS seen
        FROM (
            SELECT t.queue_id, t.status, t.day, t.n FROM pgmill.task_count t
            UNION ALL
            SELECT d.queue_id, d.status, d.day, d.n FROM pgmill.task_count_delta d
        ) c
        GROUP BY c.queue_id
    ), looked AS MATERIALIZED (
        SELECT q.id,
            min(s.lease_until) FILTER (WHERE s.lease_until < now()) AS lapsed_at,
            count(*) FILTER (WHERE s.lease_until < now()) AS lapses,
            bool_or(s.lease_until >= now()) AS held
        FROM pgmill.queue q
        CROSS JOIN generate_series(0, 9) AS p(priority)
        CROSS JOIN LATERAL (
            SELECT t.lease_until
            FROM pgmill.task t
            WHERE t.queue_id = q.id AND t.priority = p.priority::smallint AND t.run_at <= now()
            ORDER BY t.run_at, t.id + 0
            LIMIT p_scan
        ) s
        GROUP BY q.id
    ), waiting AS MATERIALIZED (
        SELECT q.id, min(d.run_at) AS since
        FROM pgmill.queue q
        CROSS JOIN LATERAL pgmill.first_waiting_v1(q.id, p_reach) d
        GROUP BY q.id
    )
    SELECT q.ns, q.queue, coalesce(c.live, 0), coalesce(c.done, 0), coalesce(c.failed, 0), coalesce(c.seen, false),
        (extract(epoch FROM now() - q.paused_at) * 1000000)::bigint,
        (extract(epoch FROM now() - d.since) * 1000000)::bigint,
        (extract(epoch FROM now() - l.lapsed_at) * 1000000)::bigint,
        coalesce(l.lapses, 0), coalesce(l.held, false),
        EXISTS (SELECT FROM pgmill.waiter w
            WHERE w.ns = q.ns AND w.queue IN (q.queue, '') AND w.until > now()),
        EXISTS (SELECT FROM pgmill.ticker t WHERE t.ns = q.ns AND t.queue = q.queue),
        q.retention > 0
    FROM pgmill.queue q
    LEFT JOIN counted c ON c.queue_id = q.id
    LEFT JOIN looked l ON l.id = q.id
    LEFT JOIN waiting d ON d.id = q.id
    ORDER BY q.ns, q.queue;
END
$$;

-- Name: claim_ticks_v1(text, text[], integer, bigint, bigint, timestamp with time zone, integer[], timestamp with time zone[], timestamp with time zone[], timestamp with time zone[], boolean[]); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.claim_ticks_v1(p_ns text, p_names text[], p_limit integer, p_lease bigint, p_holder bigint, p_now timestamp with time zone, p_cron_id integer[], p_cron_seen timestamp with time zone[], p_cron_at timestamp with time zone[], p_cron_next timestamp with time zone[], p_cron_fire boolean[]) RETURNS TABLE(kind smallint, id integer, ns text, ticker text, payload text, "interval" bigint, cron text, time_zone text, policy smallint, catch_up integer, queue text, priority smallint, ts timestamp with time zone, next_at timestamp with time zone, task_id bigint, wait bigint, clock timestamp with time zone)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_material TO 'off'
    SET jit TO 'off'
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

-- Name: task_finished; Type: TABLE; Schema: pgmill; Owner: -

CREATE TABLE pgmill.task_finished (
    id bigint NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    delayed_at timestamp with time zone,
    dies_at timestamp with time zone,
    started_at timestamp with time zone,
    holder bigint,
    queue_id integer NOT NULL,
    retries integer NOT NULL,
    attempt integer NOT NULL,
    spared integer,
    status smallint NOT NULL,
    priority smallint NOT NULL,
    worker text,
    payload json NOT NULL,
    key text,
    result json,
    traceparent text,
    CONSTRAINT task_finished_status_check CHECK (((status >= 3) AND (status <= 6)))
)
PARTITION BY RANGE (finished_at);

-- Name: COLUMN task_finished.dies_at; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.task_finished.dies_at IS 'Null for a task that is done, and so is delayed_at unless it was held back.';

-- Name: COLUMN task_finished.status; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.task_finished.status IS '3 released, 4 failed, 5 expired, 6 cancelled.';

-- Name: COLUMN task_finished.result; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.task_finished.result IS 'Null for a task that is done without one.';

-- Name: clean_queue_v1(text, text, integer); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.clean_queue_v1(p_ns text, p_queue text, p_limit integer) RETURNS SETOF pgmill.task_finished
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
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

-- Name: create_task(text, text, json, timestamp with time zone, interval, integer, text, text); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.create_task(ns text, queue text, payload json, delayed_at timestamp with time zone DEFAULT NULL::timestamp with time zone, delay interval DEFAULT NULL::interval, priority integer DEFAULT 5, key text DEFAULT NULL::text, traceparent text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
#variable_conflict use_variable
DECLARE
    v_ns text := btrim(ns, E' \t\n\r');
    -- In Turkish, the small letter of I is another one.
    v_queue text := lower(btrim(queue, E' \t\n\r') COLLATE "C");
    v_limit bigint := coalesce(nullif(current_setting('pgmill.max_payload', true), ''), '1048576');
    v_made record;
BEGIN
    IF payload IS NULL THEN
        RAISE EXCEPTION 'missing payload' USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Any JSON value is allowed, also ''null''::json.';
    END IF;
    IF octet_length(payload::text) > v_limit THEN
        RAISE EXCEPTION 'payload has % bytes, at most % are allowed', octet_length(payload::text), v_limit
            USING ERRCODE = 'invalid_parameter_value', HINT = 'The setting pgmill.max_payload changes the limit.';
    END IF;
    IF priority IS NULL OR priority NOT BETWEEN 0 AND 9 THEN
        RAISE EXCEPTION 'priority % is out of range', priority USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Allowed is 0 (first) to 9.';
    END IF;
    IF delayed_at IS NOT NULL AND delay IS NOT NULL THEN
        RAISE EXCEPTION 'delayed_at and delay exclude each other' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Give one of them.';
    END IF;
    -- Nobody could read infinity.
    IF delayed_at >= '2501-01-01 00:00:00+00' THEN
        RAISE EXCEPTION 'delayed_at % is out of range', delayed_at USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Allowed is a time before the year 2501.';
    END IF;
    IF delay < interval '0' OR delay > interval '100 years' THEN
        RAISE EXCEPTION 'delay % is out of range', delay USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Allowed is 0 to 100 years.';
    END IF;
    IF traceparent !~ '^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$' THEN
        RAISE EXCEPTION 'traceparent "%" is not one', traceparent USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Allowed is a W3C traceparent of version 00, such as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.';
    END IF;
    IF length(key) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION 'key has % characters', length(key) USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Allowed are 1 to 255.';
    END IF;
    -- json takes an escaped NUL and a lone surrogate, which no reader could decode; jsonb refuses them.
    PERFORM payload::jsonb;
    SELECT e.code, e.id, e.created_at INTO STRICT v_made FROM pgmill.enqueue_v1(
        ARRAY[v_ns], ARRAY[v_queue], ARRAY[nextval('pgmill.task_id')], ARRAY[1], ARRAY[payload::text],
        ARRAY[coalesce(delayed_at, clock_timestamp() + delay)], ARRAY[NULL::bigint], ARRAY[priority::smallint],
        CASE WHEN key IS NOT NULL THEN ARRAY[key] END, CASE WHEN traceparent IS NOT NULL THEN ARRAY[traceparent] END,
        NULL, false, false) AS e;
    IF v_made.code = 1 THEN
        RAISE EXCEPTION 'queue "%" does not exist in namespace "%"', v_queue, v_ns USING ERRCODE = 'no_data_found',
            HINT = 'Register the queue first.';
    ELSIF v_made.code = 2 THEN
        RAISE EXCEPTION 'delayed_at is in the past' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Allowed is now, within a second, or later.';
    END IF;
    IF v_made.code = 0 THEN
        PERFORM pgmill.wake_in_transaction_v1(v_ns, v_queue);
        PERFORM pgmill.tell_created_v1(v_ns, v_queue, v_made.id, v_made.created_at);
    END IF;
    RETURN v_made.id;
END
$_$;

-- Name: day_is_over_v1(date); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.day_is_over_v1(p_day date) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT (p_day + 1)::timestamp AT TIME ZONE 'UTC' <= now() - interval '1 microsecond'
        * coalesce((SELECT max(greatest(q.retention, q.retention_failed)) FROM pgmill.queue q), 0)
$$;

-- Name: queue; Type: TABLE; Schema: pgmill; Owner: -

CREATE TABLE pgmill.queue (
    id integer NOT NULL,
    ns text NOT NULL COLLATE pg_catalog."C",
    queue text NOT NULL COLLATE pg_catalog."C",
    ttl bigint,
    retries integer NOT NULL,
    retry_delay bigint NOT NULL,
    backoff smallint NOT NULL,
    max_retry_delay bigint NOT NULL,
    retention bigint NOT NULL,
    retention_failed bigint NOT NULL,
    lease bigint NOT NULL,
    paused_at timestamp with time zone,
    CONSTRAINT queue_backoff_check CHECK (((backoff >= 0) AND (backoff <= 3))),
    CONSTRAINT queue_lease_check CHECK ((lease > 0)),
    CONSTRAINT queue_max_retry_delay_check CHECK ((max_retry_delay > 0)),
    CONSTRAINT queue_retention_check CHECK ((retention >= 0)),
    CONSTRAINT queue_retention_failed_check CHECK ((retention_failed >= 0)),
    CONSTRAINT queue_retries_check CHECK ((retries > 0)),
    CONSTRAINT queue_retry_delay_check CHECK ((retry_delay >= 0)),
    CONSTRAINT queue_ttl_check CHECK ((ttl > 0))
);

-- Name: TABLE queue; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON TABLE pgmill.queue IS 'One row a queue. An id is never used again, so a queue that is created anew under an old name is another queue.';

-- Name: COLUMN queue.ttl; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.queue.ttl IS 'Microseconds from a task''s creation (or delayed_at) to dies_at; null: tasks do not expire.';

-- Name: COLUMN queue.retries; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.queue.retries IS 'Attempts in all, the first one included.';

-- Name: COLUMN queue.backoff; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.queue.backoff IS '0 exponential, 1 polynomial, 2 linear, 3 constant.';

-- Name: delete_queue_v1(text, text); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.delete_queue_v1(p_ns text, p_queue text) RETURNS SETOF pgmill.queue
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '50ms'
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

-- Name: drop_day_v1(text, date); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.drop_day_v1(p_parent text, p_day date) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '50ms'
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

-- Name: enqueue_v1(text[], text[], bigint[], integer[], text[], timestamp with time zone[], bigint[], smallint[], text[], text[], bigint, boolean, boolean); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.enqueue_v1(p_ns text[], p_queue text[], p_id bigint[], p_slot integer[], p_payload text[], p_delayed_at timestamp with time zone[], p_delay bigint[], p_priority smallint[], p_key text[], p_traceparent text[], p_flight bigint, p_resend boolean, p_all boolean) RETURNS TABLE(ord integer, code smallint, id bigint, queue_id integer, created_at timestamp with time zone, run_at timestamp with time zone, dies_at timestamp with time zone, retries integer)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    SET lock_timeout TO '2s'
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

-- Name: ensure_partitions_v1(integer); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.ensure_partitions_v1(p_ahead integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '50ms'
    SET "TimeZone" TO 'UTC'
    AS $$
DECLARE
    v_today date := (now() AT TIME ZONE 'UTC')::date;
    v_parent text;
    v_column text;
    v_day date;
    v_child text;
    v_made integer := 0;
    -- Not by a cast, which DateStyle has a say in.
    c_start CONSTANT text := 'YYYY-MM-DD" 00:00:00+00"';
BEGIN
    PERFORM pg_advisory_xact_lock(1886219628, 1);
    FOREACH v_parent IN ARRAY ARRAY['task_finished', 'task_attempt', 'task_gone'] LOOP
        FOR v_day IN SELECT v_today + n FROM generate_series(-1, p_ahead) n LOOP
            v_child := v_parent || to_char(v_day, '"_"YYYYMMDD');
            CONTINUE WHEN to_regclass('pgmill.' || v_child) IS NOT NULL;
            EXECUTE format('CREATE TABLE pgmill.%I (LIKE pgmill.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                v_child, v_parent);
            EXECUTE format('ALTER TABLE pgmill.%I ATTACH PARTITION pgmill.%I FOR VALUES FROM (%L) TO (%L)',
                v_parent, v_child, to_char(v_day, c_start), to_char(v_day + 1, c_start));
            v_made := v_made + 1;
        END LOOP;
    END LOOP;
    RETURN v_made;
END
$$;

-- Name: extend_v1(text, bigint[], integer[], bigint[], bigint[]); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.extend_v1(p_ns text, p_id bigint[], p_attempt integer[], p_holder bigint[], p_lease bigint[]) RETURNS TABLE(ord integer, lease_until timestamp with time zone)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
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

-- Name: first_queues_v1(text, integer, integer[], smallint[], timestamp with time zone[], bigint[], bigint[], timestamp with time zone); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.first_queues_v1(p_ns text, p_count integer, p_floor_queue integer[], p_floor_priority smallint[], p_floor_at timestamp with time zone[], p_floor_id bigint[], p_lost bigint[], p_amnesty timestamp with time zone, OUT queues integer[], OUT last_priority smallint, OUT last_at timestamp with time zone, OUT last_id bigint) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_material TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
        WITH RECURSIVE place AS MATERIALIZED (
            SELECT p.queue_id, p.priority, p.at, p.id,
                lead(p.queue_id, 1, 2147483647) OVER w AS until_queue,
                lead(p.priority, 1, 10::smallint) OVER w AS until_priority
            FROM (
                SELECT (e.first + (e.last - e.first + 1) * n.n / 32)::integer AS queue_id, (-1)::smallint AS priority,
                    NULL::timestamptz AS at, NULL::bigint AS id
                FROM (SELECT min(q.id)::bigint AS first, max(q.id)::bigint AS last FROM pgmill.queue q) e
                CROSS JOIN generate_series(0, 31) AS n(n)
                UNION ALL
                SELECT f.queue_id, f.priority, f.at, f.id
                FROM unnest(p_floor_queue, p_floor_priority, p_floor_at, p_floor_id) AS f(queue_id, priority, at, id)
            ) p
            WINDOW w AS (ORDER BY p.queue_id, p.priority)
        ), stream AS (
            -- A place that is a floor is a stream itself. Of the others the first task is told that there is, due or not.
            SELECT p.queue_id, p.priority, p.until_queue, p.until_priority, p.at, p.id, false AS is_due
            FROM place p
            UNION ALL
            SELECT n.queue_id, n.priority, s.until_queue, s.until_priority, n.run_at, n.id, n.is_due
            FROM stream s
            CROSS JOIN LATERAL (
                SELECT t.queue_id, t.priority, t.run_at, t.id,
                    t.run_at <= now()
                        AND (t.dies_at IS NULL OR t.dies_at > now())
                        AND (((t.lease_until IS NULL OR (t.lease_until < now() AND t.started_at >= p_amnesty))
                                AND t.attempt - coalesce(t.spared, 0) < t.retries)
                            OR (t.lease_until IS NOT NULL AND t.holder = ANY (p_lost))) AS is_due
                FROM pgmill.task t
                WHERE (t.queue_id, t.priority) > (s.queue_id, s.priority)
                    AND (t.queue_id, t.priority) < (s.until_queue, s.until_priority)
                ORDER BY t.queue_id, t.priority, t.run_at, t.id + 0
                LIMIT 1
            ) n
        ), head AS (
            SELECT s.queue_id, s.priority, d.run_at, d.id
            FROM stream s
            CROSS JOIN LATERAL (
                SELECT s.at AS run_at, s.id WHERE s.is_due
                UNION ALL
                (SELECT t.run_at, t.id
                FROM pgmill.task t
                WHERE NOT s.is_due AND s.at <= now()
                    AND EXISTS (
                        SELECT FROM pgmill.queue q WHERE q.id = s.queue_id AND q.ns = p_ns AND q.paused_at IS NULL OFFSET 0)
                    AND t.queue_id = s.queue_id AND t.priority = s.priority
                    AND (t.run_at, t.id + 0) >= (s.at, s.id)
                    AND t.run_at <= now()
                    AND (t.dies_at IS NULL OR t.dies_at > now())
                    AND (((t.lease_until IS NULL OR (t.lease_until < now() AND t.started_at >= p_amnesty))
                            AND t.attempt - coalesce(t.spared, 0) < t.retries)
                        OR (t.lease_until IS NOT NULL AND t.holder = ANY (p_lost)))
                ORDER BY t.run_at, t.id + 0
                LIMIT 1)
            ) d
            ORDER BY s.priority, d.run_at, d.id
            OFFSET 0
        ), first AS MATERIALIZED (
            SELECT h.*
            FROM head h
            CROSS JOIN LATERAL (SELECT * FROM pgmill.queue q WHERE q.id = h.queue_id OFFSET 0) q
            WHERE q.ns = p_ns AND q.paused_at IS NULL
            LIMIT p_count
        )
        SELECT ARRAY(SELECT DISTINCT f.queue_id FROM first f), l.priority, l.run_at, l.id
        INTO queues, last_priority, last_at, last_id
        FROM (VALUES (true)) AS one
        LEFT JOIN (SELECT f.* FROM first f OFFSET p_count - 1) l ON true;
END
$$;

-- Name: first_waiting_v1(bigint, integer); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.first_waiting_v1(p_queue_id bigint, p_reach integer) RETURNS TABLE(run_at timestamp with time zone)
    LANGUAGE sql STABLE
    AS $$
    SELECT d.run_at
    FROM generate_series(0, 9) AS p(priority)
    CROSS JOIN LATERAL (
        SELECT s.run_at
        FROM (
            SELECT t.run_at,
                (t.lease_until IS NULL OR t.lease_until < now()) AND t.attempt - coalesce(t.spared, 0) < t.retries
                    AND (t.dies_at IS NULL OR t.dies_at > now()) AS waits
            FROM pgmill.task t
            WHERE t.queue_id = p_queue_id AND t.priority = p.priority::smallint AND t.run_at <= now()
            ORDER BY t.run_at, t.id + 0
            LIMIT p_reach
        ) s
        WHERE s.waits
        LIMIT 1
    ) d
$$;

-- Name: fold_counts_v1(integer); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.fold_counts_v1(p_limit integer) RETURNS TABLE(folded bigint, bytes bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
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

-- Name: give_way_v1(regclass); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.give_way_v1(p_table regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
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

-- Name: key_is_held_v1(bigint, bigint, bigint); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.key_is_held_v1(p_id bigint, p_retention bigint, p_retention_failed bigint) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
SELECT EXISTS (SELECT FROM pgmill.task t WHERE t.id = p_id)
    OR EXISTS (
        SELECT FROM pgmill.task_finished f
        WHERE f.id = p_id AND f.finished_at > now() - interval '1 microsecond'
            * CASE WHEN f.status = 3 THEN p_retention ELSE p_retention_failed END)
$$;

-- Name: list_retained_v1(integer[]); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.list_retained_v1(p_queues integer[]) RETURNS TABLE(id bigint, created_at timestamp with time zone)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_material TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    v_queues integer[];
    v_counts bigint[];
    v_left integer[];
    v_left_counts bigint[];
    v_factor bigint := 1;
    v_row record;
BEGIN
    SELECT array_agg(c.queue_id), array_agg(c.n) INTO v_queues, v_counts
    FROM (
        SELECT c.queue_id, greatest(sum(c.n), 0)::bigint AS n
        FROM (
            SELECT m.queue_id, 0 AS n, true AS is_asked FROM unnest(p_queues) AS m(queue_id)
            UNION ALL
            SELECT k.queue_id, k.n, false FROM pgmill.task_count k WHERE k.status = 2
            UNION ALL
            SELECT d.queue_id, d.n, false FROM pgmill.task_count_delta d WHERE d.status = 2
        ) c
        GROUP BY c.queue_id
        HAVING bool_or(c.is_asked)
    ) c;
    -- Some more than there are, for others may lie between them; four times as far where that was not enough.
    WHILE v_queues IS NOT NULL LOOP
        v_left := NULL;
        v_left_counts := NULL;
        FOR v_row IN
            SELECT m.queue_id, m.n, s.*
            FROM unnest(v_queues, v_counts) AS m(queue_id, n)
            CROSS JOIN LATERAL (
                SELECT count(*) FILTER (WHERE s.is_retained) AS found, max(s.depth) AS depth,
                    array_agg(s.id) FILTER (WHERE s.shows) AS ids, array_agg(s.created_at) FILTER (WHERE s.shows) AS at
                FROM generate_series(0, 9) AS p(priority)
                CROSS JOIN LATERAL (
                    SELECT t.id, t.created_at, t.lease_until IS NOT NULL AS is_retained,
                        t.lease_until IS NOT NULL AND (t.dies_at IS NULL OR t.dies_at > now()) AS shows,
                        row_number() OVER (ORDER BY t.run_at, t.id + 0) AS depth
                    FROM pgmill.task t
                    WHERE t.queue_id = m.queue_id AND t.priority = p.priority::smallint
                    ORDER BY t.run_at, t.id + 0
                    LIMIT (m.n + 32) * v_factor
                ) s
            ) s
        LOOP
            IF v_row.found < v_row.n AND v_row.depth >= (v_row.n + 32) * v_factor THEN
                v_left := v_left || v_row.queue_id;
                v_left_counts := v_left_counts || v_row.n;
                CONTINUE;
            END IF;
            FOR v_each IN 1 .. coalesce(cardinality(v_row.ids), 0) LOOP
                id := v_row.ids[v_each];
                created_at := v_row.at[v_each];
                RETURN NEXT;
            END LOOP;
        END LOOP;
        v_queues := v_left;
        v_counts := v_left_counts;
        v_factor := v_factor * 4;
    END LOOP;
END
$$;

-- Name: list_tasks_v1(text, text, smallint, timestamp with time zone, bigint, bigint, bigint); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.list_tasks_v1(p_ns text, p_queue text, p_status smallint, p_after_at timestamp with time zone, p_after bigint, p_offset bigint, p_limit bigint) RETURNS TABLE(id bigint, created_at timestamp with time zone, ended_at timestamp with time zone)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_material TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    v_queues integer[];
    -- The streams that go on from where the page begins, and how they begin.
    v_kind smallint[];
    v_queue integer[];
    v_stream smallint[];
    v_head_at timestamptz[];
    v_head bigint[];
    -- Where the page begins, and how many are to be left out behind that.
    v_from_at timestamptz := coalesce(p_after_at, '-infinity');
    v_from bigint := coalesce(p_after, 0);
    v_left bigint := p_offset;
    -- Where the page ends at the latest. Nothing was created later; but clocks differ.
    v_to_at timestamptz := now() + interval '10 minutes';
    v_to bigint := 9223372036854775807;
    v_step bigint;
    v_rank bigint;
    v_places record;
    v_passed bigint;
    v_want bigint;
    v_scan bigint;
    v_is_first boolean;
    v_id bigint[];
    v_at timestamptz[];
    v_ended timestamptz[];
BEGIN
    v_queues := ARRAY(SELECT q.id FROM pgmill.queue q WHERE q.ns = p_ns AND (p_queue IS NULL OR q.queue = p_queue));
    IF p_limit = 0 THEN
        RETURN;
    ELSIF p_status = 2 THEN
        RETURN QUERY
        SELECT r.id, r.created_at, NULL::timestamptz
        FROM pgmill.list_retained_v1(v_queues) r
        WHERE (r.created_at, r.id) > (v_from_at, v_from)
        ORDER BY r.created_at, r.id OFFSET p_offset LIMIT p_limit;
        RETURN;
    END IF;
    LOOP
        SELECT array_agg(s.kind), array_agg(m.queue_id), array_agg(s.stream), array_agg(h.at), array_agg(h.place)
        INTO v_kind, v_queue, v_stream, v_head_at, v_head
        FROM unnest(v_queues) AS m(queue_id)
        CROSS JOIN (
            SELECT 0::smallint, p.n::smallint FROM generate_series(0, 9) AS p(n) WHERE p_status IS NULL OR p_status IN (0, 5)
            UNION ALL
            SELECT 1::smallint, 0::smallint WHERE p_status IS NULL OR p_status IN (0, 5)
            UNION ALL
            SELECT 1::smallint, 1::smallint WHERE p_status IS NULL OR p_status IN (1, 5)
            UNION ALL
            SELECT 2::smallint, p.n::smallint FROM generate_series(3, 6) AS p(n) WHERE p_status IS NULL OR p_status = p.n
        ) AS s(kind, stream)
        CROSS JOIN LATERAL (
            SELECT l.at, l.place FROM pgmill.listed_v1 l
            WHERE l.kind = s.kind AND l.queue_id = m.queue_id AND l.stream = s.stream AND l.belongs
                AND (l.at, l.place) > (v_from_at, v_from) AND (l.at, l.place) <= (v_to_at, v_to)
            ORDER BY l.at, l.place
            LIMIT 1
        ) h;
        EXIT WHEN v_kind IS NULL OR v_left <= greatest(1000, cardinality(v_kind));
        -- A leap: to where about half of the streams have come after so many steps that all of them together cannot go beyond
        -- what is to be left out. Others may be much faster: then to where fewer have, and at last to where the first has.
        v_step := v_left / cardinality(v_kind);
        SELECT array_agg(b.at ORDER BY b.at, b.place) AS at, array_agg(b.place ORDER BY b.at, b.place) AS place INTO v_places
        FROM unnest(v_kind, v_queue, v_stream) AS s(kind, queue_id, stream)
        CROSS JOIN LATERAL (
            SELECT l.at, l.place FROM pgmill.listed_v1 l
            WHERE l.kind = s.kind AND l.queue_id = s.queue_id AND l.stream = s.stream AND l.belongs
                AND (l.at, l.place) > (v_from_at, v_from) AND (l.at, l.place) <= (v_to_at, v_to)
            ORDER BY l.at, l.place
            OFFSET v_step - 1 LIMIT 1
        ) b;
        -- All that is left is less than that.
        IF v_places.at IS NULL THEN
            RETURN;
        END IF;
        v_rank := 1 + cardinality(v_places.at) / 2;
        LOOP
            SELECT count(*) INTO v_passed
            FROM (
                SELECT
                FROM unnest(v_kind, v_queue, v_stream) AS s(kind, queue_id, stream)
                CROSS JOIN LATERAL (
                    SELECT FROM pgmill.listed_v1 l
                    WHERE l.kind = s.kind AND l.queue_id = s.queue_id AND l.stream = s.stream AND l.belongs
                        AND (l.at, l.place) > (v_from_at, v_from)
                        AND (l.at, l.place) <= (v_places.at[v_rank], v_places.place[v_rank])
                        AND l.counts AND (p_status IS NULL OR l.status = p_status)
                    ORDER BY l.at, l.place
                    LIMIT v_left + 1
                ) l
                LIMIT v_left + 1
            ) c;
            EXIT WHEN v_passed <= v_left;
            v_rank := 1 + v_rank / 8;
        END LOOP;
        v_from_at := v_places.at[v_rank];
        v_from := v_places.place[v_rank];
        v_left := v_left - v_passed;
    END LOOP;
    IF v_kind IS NULL THEN
        RETURN;
    END IF;
    v_want := v_left + p_limit;
    v_scan := CASE WHEN p_status = 5 THEN 1 + 1000 / cardinality(v_kind) END;

    -- No further than to where so many streams have begun (of each of these the first one counts).
    SELECT s.at, s.place INTO v_places
    FROM unnest(v_kind, v_head_at, v_head) AS s(kind, at, place)
    WHERE s.kind = 2 OR (s.kind = 1 AND p_status IS NULL)
    ORDER BY s.at, s.place OFFSET v_want - 1 LIMIT 1;
    IF FOUND THEN
        v_to_at := v_places.at;
        v_to := v_places.place;
    END IF;
    -- First kinds 1 and 2, then kind 0.
    FOREACH v_is_first IN ARRAY ARRAY[true, false] LOOP
        -- Nor further than to where an eighth as many streams have eight of them, and so on.
        FOREACH v_step IN ARRAY ARRAY[8, 64, 512] LOOP
            EXIT WHEN v_step > v_want;
            SELECT b.at, b.place INTO v_places
            FROM unnest(v_kind, v_queue, v_stream, v_head_at, v_head) AS s(kind, queue_id, stream, head_at, head)
            CROSS JOIN LATERAL (
                SELECT l.at, l.place
                FROM (
                    SELECT l.at, l.place, l.counts, l.status FROM pgmill.listed_v1 l
                    WHERE l.kind = s.kind AND l.queue_id = s.queue_id AND l.stream = s.stream AND l.belongs
                        AND (l.at, l.place) > (v_from_at, v_from) AND (l.at, l.place) <= (v_to_at, v_to)
                    ORDER BY l.at, l.place
                    LIMIT CASE WHEN s.kind < 2 THEN v_scan END
                ) l
                WHERE l.counts AND (p_status IS NULL OR l.status = p_status)
                OFFSET v_step - 1 LIMIT 1
            ) b
            WHERE (s.kind > 0) = v_is_first AND (s.head_at, s.head) <= (v_to_at, v_to)
            ORDER BY b.at, b.place OFFSET (v_want + v_step - 1) / v_step - 1 LIMIT 1;
            IF FOUND THEN
                v_to_at := v_places.at;
                v_to := v_places.place;
            END IF;
        END LOOP;
        SELECT array_agg(x.id), array_agg(x.at), array_agg(x.ended_at) INTO v_id, v_at, v_ended
        FROM (
            SELECT l.id, l.at, l.ended_at
            FROM unnest(v_kind, v_queue, v_stream, v_head_at, v_head) AS s(kind, queue_id, stream, head_at, head)
            CROSS JOIN LATERAL (
                SELECT l.id, l.at, l.ended_at
                FROM (
                    SELECT l.id, l.at, l.ended_at, l.counts, l.status FROM pgmill.listed_v1 l
                    WHERE l.kind = s.kind AND l.queue_id = s.queue_id AND l.stream = s.stream AND l.belongs
                        AND (l.at, l.place) > (v_from_at, v_from) AND (l.at, l.place) <= (v_to_at, v_to)
                    ORDER BY l.at, l.place
                    LIMIT CASE WHEN s.kind < 2 THEN v_scan END
                ) l
                WHERE l.counts AND (p_status IS NULL OR l.status = p_status)
                LIMIT v_want
            ) l
            WHERE (s.kind > 0) = v_is_first AND (s.head_at, s.head) <= (v_to_at, v_to)
            UNION ALL
            SELECT u.id, u.at, u.ended_at FROM unnest(v_id, v_at, v_ended) AS u(id, at, ended_at)
            ORDER BY at, id LIMIT v_want
        ) x;
        IF cardinality(v_id) = v_want THEN
            v_to_at := v_at[v_want];
            v_to := v_id[v_want];
        END IF;
    END LOOP;
    RETURN QUERY
    SELECT u.id, u.at, u.ended_at FROM unnest(v_id, v_at, v_ended) WITH ORDINALITY AS u(id, at, ended_at, ord)
    WHERE u.ord > v_left AND u.ord <= v_left + p_limit
    ORDER BY u.ord;
END
$$;

-- Name: live_status_v1(timestamp with time zone, timestamp with time zone, integer, integer); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.live_status_v1(dies_at timestamp with time zone, lease_until timestamp with time zone, attempt integer, spared integer) RETURNS smallint
    LANGUAGE sql STABLE
    AS $$
SELECT (CASE
    WHEN dies_at <= now() THEN 5
    WHEN lease_until IS NOT NULL THEN 2
    WHEN attempt = coalesce(spared, 0) THEN 0
    ELSE 1
END)::smallint
$$;

-- Name: oldest_waiting_v1(text, integer); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.oldest_waiting_v1(p_ns text, p_scan integer) RETURNS TABLE(queue text, waited bigint)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_material TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT q.queue, (extract(epoch FROM now() - min(d.run_at)) * 1000000)::bigint
    FROM pgmill.queue q
    CROSS JOIN LATERAL pgmill.first_waiting_v1(q.id, p_scan) d
    WHERE q.ns = p_ns
    GROUP BY q.queue
    ORDER BY q.queue;
END
$$;

-- Name: past_retention_v1(date); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.past_retention_v1(p_day date) RETURNS TABLE(queue_id integer, status smallint, before timestamp with time zone, whole boolean, rows bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $_$
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
$_$;

-- Name: prune_finished_v1(date, integer, smallint, timestamp with time zone, bigint, integer); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.prune_finished_v1(p_day date, p_queue integer, p_status smallint, p_after_at timestamp with time zone, p_after bigint, p_scan integer) RETURNS TABLE(pruned bigint, place_at timestamp with time zone, place bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $_$
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
$_$;

-- Name: prune_keys_v1(integer, text, integer); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.prune_keys_v1(p_queue integer, p_key text, p_scan integer) RETURNS TABLE(pruned bigint, queue_id integer, key text)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
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

-- Name: prune_steps_v1(); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.prune_steps_v1() RETURNS TABLE(step smallint, parent text, day date, queue_id integer, status smallint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

-- Name: recount_day_v1(date, regclass); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.recount_day_v1(p_day date, p_left regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

-- Name: release_done_v1(text, bigint[], integer[], bigint[], text[]); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.release_done_v1(p_ns text, p_id bigint[], p_attempt integer[], p_holder bigint[], p_result text[], OUT ended_at timestamp with time zone, OUT released integer[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_material TO 'off'
    SET jit TO 'off'
    SET lock_timeout TO '20ms'
    AS $$
#variable_conflict use_column
DECLARE
    v_strange boolean;
BEGIN
    ended_at := now();
    WITH held AS MATERIALIZED (
        SELECT a.ord, a.attempt, a.holder, a.result, l.tid
        FROM unnest(p_id, p_attempt, p_holder, p_result) WITH ORDINALITY AS a(id, attempt, holder, result, ord)
        CROSS JOIN LATERAL (
            SELECT t.ctid AS tid
            FROM pgmill.task t
            WHERE t.id = a.id AND t.attempt = a.attempt AND t.holder = a.holder AND t.lease_until IS NOT NULL
            OFFSET 0
        ) l
    ), ended AS (
        -- The fence is checked again, on what another transaction may have made of the row meanwhile.
        DELETE FROM pgmill.task t
        USING held x
        WHERE t.ctid = x.tid AND t.attempt = x.attempt AND t.holder = x.holder AND t.lease_until IS NOT NULL
        RETURNING x.ord::integer AS ord, nullif(x.result, 'null')::json AS result,
            t.id, t.run_at, t.created_at, t.queue_id, t.retries, t.priority, t.attempt, t.spared,
            t.started_at, t.holder, t.worker, t.payload, t.key, t.traceparent
    ), home AS MATERIALIZED (
        SELECT q.id, q.retention, e.n
        FROM (SELECT queue_id, count(*) AS n FROM ended GROUP BY queue_id) e
        CROSS JOIN LATERAL (SELECT * FROM pgmill.queue q WHERE q.id = e.queue_id OFFSET 0) q
        WHERE q.ns = p_ns
    ), kept AS (
        INSERT INTO pgmill.task_finished (id, finished_at, created_at, delayed_at, started_at, holder, queue_id,
            retries, attempt, spared, status, priority, worker, payload, key, result, traceparent)
        SELECT e.id, now(), e.created_at, CASE WHEN e.run_at <> e.created_at THEN e.run_at END, e.started_at, e.holder,
            e.queue_id, e.retries, e.attempt, e.spared, 3, e.priority, e.worker, e.payload, e.key, e.result, e.traceparent
        FROM ended e
        WHERE (e.queue_id IN (SELECT h.id FROM home h WHERE h.retention > 0)) IS TRUE
    ), gone AS (
        INSERT INTO pgmill.task_gone (ended_at, ids, attempts, holders)
        SELECT now(), array_agg(e.id), array_agg(e.attempt), array_agg(e.holder)
        FROM ended e
        WHERE (e.queue_id IN (SELECT h.id FROM home h WHERE h.retention = 0)) IS TRUE
        HAVING count(*) > 0
    ), counted AS (
        INSERT INTO pgmill.task_count_delta (queue_id, status, day, n)
        SELECT h.id, s.status, s.day, s.n
        FROM home h
        CROSS JOIN LATERAL (VALUES
            (2, date '-infinity', -h.n),
            (3, (now() AT TIME ZONE 'UTC')::date, CASE WHEN h.retention > 0 THEN h.n ELSE 0 END)
        ) AS s(status, day, n)
        WHERE s.n <> 0
    )
    SELECT array_agg(e.ord), count(*) <> coalesce((SELECT sum(h.n) FROM home h), 0)
    INTO released, v_strange
    FROM ended e;
    IF v_strange THEN
        RAISE EXCEPTION 'a task of this batch is of another namespace, or its queue is gone'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END
$$;

-- Name: release_v1(text[], bigint[], integer[], integer[], bigint[], smallint[], text[], bigint[], boolean); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.release_v1(p_ns text[], p_id bigint[], p_slot integer[], p_attempt integer[], p_holder bigint[], p_action smallint[], p_result text[], p_delay bigint[], p_resend boolean) RETURNS TABLE(ord integer, code smallint, status smallint, ended_at timestamp with time zone, run_at timestamp with time zone, attempt integer, spared integer, retries integer, queue_id integer, queue text, priority smallint, created_at timestamp with time zone, dies_at timestamp with time zone, started_at timestamp with time zone, worker text, key text, payload json)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
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

-- Name: remove_orphans_v1(integer); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.remove_orphans_v1(p_limit integer) RETURNS TABLE(tasks bigint, keys bigint, counts bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_material TO 'off'
    SET jit TO 'off'
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

-- Name: retain_one_v1(text, text, integer[], text[], bigint[], boolean[], integer[], smallint[], timestamp with time zone[], bigint[], bigint, bigint[]); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.retain_one_v1(p_ns text, p_queue text, p_caller_want integer[], p_caller_worker text[], p_caller_lease bigint[], p_caller_fenced boolean[], p_floor_queue integer[], p_floor_priority smallint[], p_floor_at timestamp with time zone[], p_floor_id bigint[], p_holder bigint, p_lost bigint[]) RETURNS TABLE(caller integer, id bigint, queue_id integer, queue text, priority smallint, created_at timestamp with time zone, run_at timestamp with time zone, dies_at timestamp with time zone, started_at timestamp with time zone, lease_until timestamp with time zone, attempt integer, spared integer, retries integer, payload json, key text, traceparent text)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_material TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    v_queue_id integer;
    v_lease bigint;
    -- The caller of the first task, of the second, and so on.
    v_seats integer[];
    v_want integer;
    v_amnesty timestamptz := CASE WHEN now() < pg_postmaster_start_time() + interval '30 s'
        THEN pg_postmaster_start_time() ELSE '-infinity' END;
BEGIN
    SELECT q.id, q.lease INTO v_queue_id, v_lease
    FROM pgmill.queue q
    WHERE q.ns = p_ns AND q.queue = p_queue AND q.paused_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
    v_seats := ARRAY(SELECT c.caller FROM unnest(p_caller_want) WITH ORDINALITY AS c(want, caller)
        CROSS JOIN generate_series(1, c.want));
    v_want := cardinality(v_seats);
    RETURN QUERY
    WITH locked AS MATERIALIZED (
        SELECT due.*
        FROM generate_series(0, 9) AS p(priority)
        CROSS JOIN LATERAL (
            SELECT t.ctid AS tid, t.lease_until, t.started_at, t.worker,
                (t.lease_until IS NOT NULL AND t.holder = ANY (p_lost)) AS lost
            FROM pgmill.task t
            WHERE t.queue_id = v_queue_id AND t.priority = p.priority::smallint
                AND (t.run_at, t.id + 0) >= (
                    coalesce((
                        SELECT f.at FROM unnest(p_floor_queue, p_floor_priority, p_floor_at) AS f(queue_id, priority, at)
                        WHERE f.queue_id = v_queue_id AND f.priority = p.priority LIMIT 1), '-infinity'),
                    coalesce((
                        SELECT f.id FROM unnest(p_floor_queue, p_floor_priority, p_floor_id) AS f(queue_id, priority, id)
                        WHERE f.queue_id = v_queue_id AND f.priority = p.priority LIMIT 1), 0))
                AND t.run_at <= now()
                AND (t.dies_at IS NULL OR t.dies_at > now())
                AND (((t.lease_until IS NULL OR (t.lease_until < now() AND t.started_at >= v_amnesty))
                        AND t.attempt - coalesce(t.spared, 0) < t.retries)
                    OR (t.lease_until IS NOT NULL AND t.holder = ANY (p_lost)))
            ORDER BY t.run_at, t.id + 0
            FOR UPDATE SKIP LOCKED
        ) due
        LIMIT v_want
    ), dealt AS MATERIALIZED (
        SELECT locked.*, v_seats[row_number() OVER ()] AS caller FROM locked
    ), taken AS (
        UPDATE pgmill.task t
        SET attempt = t.attempt + 1, holder = p_holder + p_caller_fenced[d.caller]::integer,
            worker = p_caller_worker[d.caller], started_at = now(),
            spared = CASE WHEN d.lost THEN coalesce(t.spared, 0) + 1 ELSE t.spared END,
            lease_until = least(now() + coalesce(p_caller_lease[d.caller], v_lease) * interval '1 microsecond', t.dies_at)
        FROM dealt d
        WHERE t.ctid = d.tid
        RETURNING d.caller, t.id, t.priority, t.created_at, t.run_at, t.dies_at,
            t.started_at, t.lease_until, t.attempt, coalesce(t.spared, 0) AS spared, t.retries, t.payload, t.key, t.traceparent,
            d.lease_until AS lapsed_at, d.started_at AS lapsed_start, d.worker AS lapsed_worker, d.lost
    ), lapsed AS (
        INSERT INTO pgmill.task_attempt (id, queue_id, attempt, started_at, ended_at, outcome, worker)
        SELECT k.id, v_queue_id, k.attempt - 1, k.lapsed_start, now(), 2, k.lapsed_worker
        FROM taken k WHERE k.lapsed_at IS NOT NULL AND NOT k.lost
    ), counted AS (
        INSERT INTO pgmill.task_count_delta (queue_id, status, day, n)
        SELECT v_queue_id, s.status, '-infinity', s.n
        FROM (
            SELECT count(*) AS n, count(*) FILTER (WHERE k.attempt - 1 = k.spared) AS first
            FROM taken k
            WHERE k.lapsed_at IS NULL
        ) c
        CROSS JOIN LATERAL (VALUES (0, -c.first), (1, c.first - c.n), (2, c.n)) AS s(status, n)
        WHERE s.n <> 0
    )
    SELECT k.caller, k.id, v_queue_id, p_queue, k.priority, k.created_at, k.run_at, k.dies_at,
        k.started_at, k.lease_until, k.attempt, k.spared, k.retries, k.payload, k.key, k.traceparent
    FROM taken k;
END
$$;

-- Name: retain_v1(text[], boolean[], integer[], text[], integer[], integer[], text[], bigint[], boolean[], integer[], smallint[], timestamp with time zone[], bigint[], bigint, bigint[]); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.retain_v1(p_demand_ns text[], p_demand_any boolean[], p_member_demand integer[], p_member_queue text[], p_caller_demand integer[], p_caller_want integer[], p_caller_worker text[], p_caller_lease bigint[], p_caller_fenced boolean[], p_floor_queue integer[], p_floor_priority smallint[], p_floor_at timestamp with time zone[], p_floor_id bigint[], p_holder bigint, p_lost bigint[]) RETURNS TABLE(caller integer, id bigint, queue_id integer, queue text, priority smallint, created_at timestamp with time zone, run_at timestamp with time zone, dies_at timestamp with time zone, started_at timestamp with time zone, lease_until timestamp with time zone, attempt integer, spared integer, retries integer, payload json, key text, traceparent text)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_material TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    v_demand integer;
    -- The caller of the first task, of the second, and so on.
    v_seats integer[];
    v_want integer;
    -- How many candidates are picked.
    v_picks integer;
    -- Whether the queues are too many to be looked into one by one; those that are then, and how far.
    v_many boolean;
    v_first integer[];
    v_last_priority smallint;
    v_last_at timestamptz;
    v_last_id bigint;
    v_floors boolean := cardinality(p_floor_queue) > 0;
    -- Queue and priority of each floor as one number, in which one is found without looking at all: there may be thousands.
    v_floor_keys bigint[] := ARRAY(
        SELECT 10::bigint * f.queue_id + f.priority FROM unnest(p_floor_queue, p_floor_priority) AS f(queue_id, priority));
    -- Leases that began before it have not lapsed, whatever they say.
    v_amnesty timestamptz := CASE WHEN now() < pg_postmaster_start_time() + interval '30 s'
        THEN pg_postmaster_start_time() ELSE '-infinity' END;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    FOR v_demand IN 1 .. cardinality(p_demand_ns) LOOP
        v_seats := ARRAY(SELECT c.caller FROM unnest(p_caller_demand, p_caller_want)
                WITH ORDINALITY AS c(demand, want, caller)
            CROSS JOIN generate_series(1, c.want)
            WHERE c.demand = v_demand);
        v_want := cardinality(v_seats);
        v_picks := v_want + v_want / 4 + 16;
        v_many := false;
        v_first := NULL;
        v_last_priority := NULL;
        IF p_demand_any[v_demand] AND v_want > 0 THEN
            v_many := EXISTS (SELECT FROM pgmill.queue q WHERE q.ns = p_demand_ns[v_demand] OFFSET 100);
            IF v_many THEN
                v_many := EXISTS (
                    SELECT FROM pgmill.queue q WHERE q.ns = p_demand_ns[v_demand]
                    OFFSET (SELECT (max(q.id)::bigint - min(q.id)) / 8 FROM pgmill.queue q));
            END IF;
        END IF;
        IF v_many THEN
            SELECT f.queues, f.last_priority, f.last_at, f.last_id
            INTO v_first, v_last_priority, v_last_at, v_last_id
            FROM pgmill.first_queues_v1(p_demand_ns[v_demand], v_picks,
                p_floor_queue, p_floor_priority, p_floor_at, p_floor_id, p_lost, v_amnesty) f;
        END IF;
        RETURN QUERY
        WITH member AS MATERIALIZED (
            SELECT q.id, q.queue, q.lease
            FROM pgmill.queue q
            WHERE p_demand_any[v_demand] AND NOT v_many AND q.ns = p_demand_ns[v_demand] AND q.paused_at IS NULL
            UNION ALL
            SELECT q.id, q.queue, q.lease
            FROM unnest(v_first) AS f(id)
            CROSS JOIN LATERAL (SELECT * FROM pgmill.queue q WHERE q.id = f.id OFFSET 0) q
            WHERE q.paused_at IS NULL
            UNION ALL
            SELECT q.id, q.queue, q.lease
            FROM unnest(p_member_demand, p_member_queue) AS m(demand, queue)
            CROSS JOIN LATERAL (
                SELECT * FROM pgmill.queue q WHERE q.ns = p_demand_ns[v_demand] AND q.queue = m.queue OFFSET 0
            ) q
            WHERE m.demand = v_demand AND q.paused_at IS NULL
        ), candidate AS MATERIALIZED (
            SELECT due.*, m.queue, m.lease
            FROM member m
            CROSS JOIN LATERAL (
                SELECT
                    CASE WHEN v_floors THEN 0 ELSE (
                        SELECT t.priority FROM pgmill.task t WHERE t.queue_id = m.id ORDER BY t.priority LIMIT 1) END AS first,
                    CASE WHEN v_floors THEN 9 ELSE (
                        SELECT t.priority FROM pgmill.task t WHERE t.queue_id = m.id ORDER BY t.priority DESC LIMIT 1) END AS last
                OFFSET 0
            ) r
            CROSS JOIN LATERAL (
                SELECT p.priority, width_bucket(10::bigint * m.id + p.priority, v_floor_keys) AS floor
                FROM generate_series(r.first, least(r.last, v_last_priority)) AS p(priority)
                OFFSET 0
            ) p
            CROSS JOIN LATERAL (
                SELECT t.ctid AS tid, t.priority, t.run_at, t.id
                FROM pgmill.task t
                WHERE t.queue_id = m.id AND t.priority = p.priority::smallint
                    AND (t.run_at, t.id + 0) >= (
                        CASE WHEN v_floor_keys[p.floor] = 10::bigint * m.id + p.priority
                            THEN p_floor_at[p.floor] ELSE '-infinity' END,
                        CASE WHEN v_floor_keys[p.floor] = 10::bigint * m.id + p.priority THEN p_floor_id[p.floor] ELSE 0 END)
                    AND (t.run_at, t.id + 0) <= (
                        CASE WHEN p.priority = v_last_priority THEN v_last_at ELSE 'infinity' END,
                        CASE WHEN p.priority = v_last_priority THEN v_last_id ELSE 9223372036854775807 END)
                    AND t.run_at <= now()
                    AND (t.dies_at IS NULL OR t.dies_at > now())
                    AND (((t.lease_until IS NULL OR (t.lease_until < now() AND t.started_at >= v_amnesty))
                            AND t.attempt - coalesce(t.spared, 0) < t.retries)
                        OR (t.lease_until IS NOT NULL AND t.holder = ANY (p_lost)))
                ORDER BY t.run_at, t.id + 0
                LIMIT v_picks
            ) due
            ORDER BY due.priority, due.run_at, due.id
            LIMIT v_picks
        ), locked AS MATERIALIZED (
            SELECT l.*, c.queue, c.lease
            FROM candidate c
            CROSS JOIN LATERAL (
                SELECT t.ctid AS tid, t.lease_until, t.started_at, t.worker,
                    (t.lease_until IS NOT NULL AND t.holder = ANY (p_lost)) AS lost
                FROM pgmill.task t
                WHERE t.ctid = c.tid AND t.run_at <= now()
                    AND (t.dies_at IS NULL OR t.dies_at > now())
                    AND (((t.lease_until IS NULL OR (t.lease_until < now() AND t.started_at >= v_amnesty))
                            AND t.attempt - coalesce(t.spared, 0) < t.retries)
                        OR (t.lease_until IS NOT NULL AND t.holder = ANY (p_lost)))
                FOR UPDATE SKIP LOCKED
            ) l
            LIMIT v_want
        ), dealt AS MATERIALIZED (
            SELECT locked.*, v_seats[row_number() OVER ()] AS caller FROM locked
        ), taken AS (
            UPDATE pgmill.task t
            SET attempt = t.attempt + 1, holder = p_holder + p_caller_fenced[d.caller]::integer,
                worker = p_caller_worker[d.caller], started_at = now(),
                spared = CASE WHEN d.lost THEN coalesce(t.spared, 0) + 1 ELSE t.spared END,
                lease_until = least(now() + coalesce(p_caller_lease[d.caller], d.lease) * interval '1 microsecond', t.dies_at)
            FROM dealt d
            WHERE t.ctid = d.tid
            RETURNING d.caller, t.id, t.queue_id, d.queue, t.priority, t.created_at, t.run_at, t.dies_at,
                t.started_at, t.lease_until, t.attempt, coalesce(t.spared, 0) AS spared, t.retries, t.payload, t.key, t.traceparent,
                d.lease_until AS lapsed_at, d.started_at AS lapsed_start, d.worker AS lapsed_worker, d.lost
        ), lapsed AS (
            INSERT INTO pgmill.task_attempt (id, queue_id, attempt, started_at, ended_at, outcome, worker)
            SELECT k.id, k.queue_id, k.attempt - 1, k.lapsed_start, now(), 2, k.lapsed_worker
            FROM taken k WHERE k.lapsed_at IS NOT NULL AND NOT k.lost
        ), counted AS (
            INSERT INTO pgmill.task_count_delta (queue_id, status, day, n)
            SELECT c.queue_id, s.status, '-infinity', s.n
            FROM (
                SELECT k.queue_id, count(*) AS n, count(*) FILTER (WHERE k.attempt - 1 = k.spared) AS first
                FROM taken k
                WHERE k.lapsed_at IS NULL
                GROUP BY k.queue_id
            ) c
            CROSS JOIN LATERAL (VALUES (0, -c.first), (1, c.first - c.n), (2, c.n)) AS s(status, n)
            WHERE s.n <> 0
        )
        SELECT k.caller, k.id, k.queue_id, k.queue, k.priority, k.created_at, k.run_at, k.dies_at,
            k.started_at, k.lease_until, k.attempt, k.spared, k.retries, k.payload, k.key, k.traceparent
        FROM taken k;
    END LOOP;
END
$$;

-- Name: retry_v1(text, bigint, bigint); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.retry_v1(p_ns text, p_id bigint, p_flight bigint) RETURNS TABLE(code smallint, status smallint, key_holder bigint, queue text, priority smallint, created_at timestamp with time zone, delayed_at timestamp with time zone, dies_at timestamp with time zone, attempt integer, spared integer, retries integer, worker text, key text, payload json, result json, traceparent text)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET lock_timeout TO '2s'
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

-- Name: rewrite_day_v1(date); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.rewrite_day_v1(p_day date) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET enable_seqscan TO 'off'
    SET lock_timeout TO '50ms'
    SET jit TO 'off'
    AS $_$
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
$_$;

-- Name: rotate_counts_v1(); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.rotate_counts_v1() RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '50ms'
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

-- Name: sleep_v1(bigint, text, text[], bigint); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.sleep_v1(p_process bigint, p_ns text, p_queues text[], p_for bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
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

-- Name: sweep_v1(integer, smallint, timestamp with time zone, bigint, integer); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.sweep_v1(p_queue integer, p_priority smallint, p_run_at timestamp with time zone, p_id bigint, p_scan integer) RETURNS TABLE(expired bigint, failed bigint, queue_id integer, priority smallint, run_at timestamp with time zone, id bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_material TO 'off'
    SET jit TO 'off'
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

-- Name: tell_created_v1(text, text, bigint, timestamp with time zone); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.tell_created_v1(p_ns text, p_queue text, p_id bigint, p_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
BEGIN
    IF EXISTS (SELECT FROM pgmill.watcher w WHERE w.ns = p_ns AND w.until > clock_timestamp()) THEN
        PERFORM pg_notify('pgmill_event', json_build_object('ns', p_ns, 'queues', json_build_array(p_queue),
            'events', json_build_array(json_build_array(
                p_id, 0, 0, 0, NULL, (extract(epoch FROM p_at) * 1000000)::bigint)))::text);
    END IF;
END
$$;

-- Name: tell_ended_v1(integer[], bigint[], smallint[], integer[], text[]); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.tell_ended_v1(p_queue_id integer[], p_id bigint[], p_status smallint[], p_attempt integer[], p_worker text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
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

-- Name: tell_watchers_v1(bigint, text[], text[]); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.tell_watchers_v1(p_process bigint, p_ns text[], p_notice text[]) RETURNS text[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
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

-- Name: wake_in_transaction_v1(text, text); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.wake_in_transaction_v1(p_ns text, p_queue text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
BEGIN
    IF EXISTS (SELECT FROM pgmill.waiter w
        WHERE w.ns = p_ns AND w.queue IN (p_queue, '') AND w.until > clock_timestamp())
    THEN
        PERFORM pg_notify('pgmill', json_build_object('in', json_build_array(json_build_array(p_ns, p_queue, 0)))::text);
    END IF;
END
$$;

-- Name: wake_v1(bigint, text[], text[], bigint[]); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.wake_v1(p_process bigint, p_ns text[], p_queue text[], p_due bigint[]) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
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

-- Name: watch_v1(bigint, text[], bigint); Type: FUNCTION; Schema: pgmill; Owner: -

CREATE FUNCTION pgmill.watch_v1(p_process bigint, p_ns text[], p_for bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
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

-- Name: task; Type: TABLE; Schema: pgmill; Owner: -

CREATE TABLE pgmill.task (
    id bigint NOT NULL,
    run_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    dies_at timestamp with time zone,
    queue_id integer NOT NULL,
    retries integer NOT NULL,
    priority smallint NOT NULL,
    tried boolean DEFAULT false NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    lease_until timestamp with time zone,
    started_at timestamp with time zone,
    holder bigint,
    worker text,
    spared integer,
    payload json NOT NULL,
    key text,
    result json,
    traceparent text,
    CONSTRAINT task_attempts CHECK (((COALESCE(spared, 0) >= 0) AND (attempt >= COALESCE(spared, 0)) AND ((attempt - COALESCE(spared, 0)) <= retries))),
    CONSTRAINT task_lease CHECK (((lease_until IS NULL) OR ((attempt > 0) AND (started_at IS NOT NULL) AND (holder IS NOT NULL) AND (worker IS NOT NULL)))),
    CONSTRAINT task_priority CHECK (((priority >= 0) AND (priority <= 9)))
)
WITH (fillfactor='40', autovacuum_vacuum_scale_factor='0.01', autovacuum_vacuum_threshold='5000', autovacuum_vacuum_cost_delay='0', autovacuum_analyze_scale_factor='0.1', vacuum_truncate=off);

-- Name: TABLE task; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON TABLE pgmill.task IS 'Live tasks: new, retry, retained. A task leaves for task_finished in the statement that ends it.';

-- Name: COLUMN task.run_at; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.task.run_at IS 'When the task may be retained: its creation, delayed_at, or the end of a retry delay.';

-- Name: COLUMN task.tried; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.task.tried IS 'Whether an attempt had been spent when it came to wait: a column that no retain changes.';

-- Name: COLUMN task.attempt; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.task.attempt IS 'Retains so far; only ever grows. With id and holder it is the fence.';

-- Name: COLUMN task.lease_until; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.task.lease_until IS 'Set while retained. Once it has passed, the task may be retained again.';

-- Name: COLUMN task.spared; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.task.spared IS 'Retains that cost no attempt: given back or snoozed. Null: none.';

-- Name: COLUMN task.traceparent; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.task.traceparent IS 'The W3C trace context of whoever created the task.';

-- Name: any_task_v1; Type: VIEW; Schema: pgmill; Owner: -

CREATE VIEW pgmill.any_task_v1 AS
 SELECT t.id,
    t.queue_id,
    pgmill.live_status_v1(t.dies_at, t.lease_until, t.attempt, t.spared) AS status,
    t.priority,
    t.created_at,
        CASE
            WHEN (t.run_at <> t.created_at) THEN t.run_at
            ELSE NULL::timestamp with time zone
        END AS delayed_at,
    t.dies_at,
        CASE
            WHEN (t.lease_until IS NOT NULL) THEN t.started_at
            ELSE NULL::timestamp with time zone
        END AS started_at,
    NULL::timestamp with time zone AS finished_at,
    t.lease_until,
        CASE
            WHEN (t.lease_until IS NOT NULL) THEN t.holder
            ELSE NULL::bigint
        END AS holder,
    t.attempt,
    COALESCE(t.spared, 0) AS spared,
    t.retries,
    t.worker,
    t.key,
    t.payload,
        CASE
            WHEN (t.lease_until IS NULL) THEN t.result
            ELSE NULL::json
        END AS result,
    t.traceparent,
    NULL::timestamp with time zone AS ended_at
   FROM pgmill.task t
UNION ALL
 SELECT f.id,
    f.queue_id,
    f.status,
    f.priority,
    f.created_at,
    f.delayed_at,
    f.dies_at,
        CASE
            WHEN (f.status = 3) THEN f.started_at
            ELSE NULL::timestamp with time zone
        END AS started_at,
        CASE
            WHEN (f.status = 3) THEN f.finished_at
            ELSE NULL::timestamp with time zone
        END AS finished_at,
    NULL::timestamp with time zone AS lease_until,
    NULL::bigint AS holder,
    f.attempt,
    COALESCE(f.spared, 0) AS spared,
    f.retries,
    f.worker,
    f.key,
    f.payload,
    f.result,
    f.traceparent,
    f.finished_at AS ended_at
   FROM pgmill.task_finished f;

-- Name: audit; Type: TABLE; Schema: pgmill; Owner: -

CREATE TABLE pgmill.audit (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    token_id bigint,
    ns text COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    target text NOT NULL COLLATE pg_catalog."C",
    request_id text,
    detail json
);

-- Name: COLUMN audit.token_id; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.audit.token_id IS 'Of a token that may be gone.';

-- Name: audit_id_seq; Type: SEQUENCE; Schema: pgmill; Owner: -

ALTER TABLE pgmill.audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pgmill.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: enqueue_resent; Type: TABLE; Schema: pgmill; Owner: -

CREATE TABLE pgmill.enqueue_resent (
    flight bigint NOT NULL,
    resent_at timestamp with time zone DEFAULT now() NOT NULL
);

-- Name: listed_v1; Type: VIEW; Schema: pgmill; Owner: -

CREATE VIEW pgmill.listed_v1 AS
 SELECT (0)::smallint AS kind,
    t.queue_id,
    t.priority AS stream,
    t.run_at AS at,
    (t.id + 0) AS place,
    t.id,
    NULL::timestamp with time zone AS ended_at,
    true AS belongs,
    (t.run_at = t.created_at) AS counts,
    pgmill.live_status_v1(t.dies_at, t.lease_until, t.attempt, t.spared) AS status
   FROM pgmill.task t
UNION ALL
 SELECT (1)::smallint AS kind,
    t.queue_id,
    ((t.tried)::integer)::smallint AS stream,
    t.created_at AS at,
    (t.id + 0) AS place,
    t.id,
    NULL::timestamp with time zone AS ended_at,
    (t.run_at <> t.created_at) AS belongs,
    true AS counts,
    pgmill.live_status_v1(t.dies_at, t.lease_until, t.attempt, t.spared) AS status
   FROM pgmill.task t
UNION ALL
 SELECT (2)::smallint AS kind,
    f.queue_id,
    f.status AS stream,
    f.created_at AS at,
    (f.id + 0) AS place,
    f.id,
    f.finished_at AS ended_at,
    true AS belongs,
    true AS counts,
    f.status
   FROM pgmill.task_finished f;

-- Name: migration; Type: TABLE; Schema: pgmill; Owner: -

CREATE TABLE pgmill.migration (
    version integer NOT NULL,
    name text NOT NULL,
    min_binary text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL,
    checksum text
);

-- Name: COLUMN migration.min_binary; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.migration.min_binary IS 'The oldest version of pgmill that can work with the database after this migration.';

-- Name: COLUMN migration.checksum; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.migration.checksum IS 'SHA-256 of the text that was applied; null: applied before this was recorded.';

-- Name: queue_id_seq; Type: SEQUENCE; Schema: pgmill; Owner: -

ALTER TABLE pgmill.queue ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pgmill.queue_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: task_attempt; Type: TABLE; Schema: pgmill; Owner: -

CREATE TABLE pgmill.task_attempt (
    id bigint NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone NOT NULL,
    holder bigint,
    queue_id integer NOT NULL,
    attempt integer NOT NULL,
    outcome smallint NOT NULL,
    worker text,
    error json,
    CONSTRAINT task_attempt_outcome_check CHECK (((outcome >= 0) AND (outcome <= 6)))
)
PARTITION BY RANGE (ended_at);

-- Name: TABLE task_attempt; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON TABLE pgmill.task_attempt IS 'One row for each attempt that did not succeed.';

-- Name: COLUMN task_attempt.holder; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.task_attempt.holder IS 'Who released it; null where the lease lapsed.';

-- Name: COLUMN task_attempt.outcome; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.task_attempt.outcome IS '0 retry, 1 failed, 2 lapsed, 3 given_back, 4 snoozed, 5 cancelled, 6 expired.';

-- Name: task_count; Type: TABLE; Schema: pgmill; Owner: -

CREATE TABLE pgmill.task_count (
    queue_id integer NOT NULL,
    status smallint NOT NULL,
    day date NOT NULL,
    n bigint NOT NULL
)
WITH (fillfactor='50');

-- Name: COLUMN task_count.day; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.task_count.day IS 'UTC day of finished_at; -infinity for live states.';

-- Name: task_count_delta; Type: TABLE; Schema: pgmill; Owner: -

CREATE TABLE pgmill.task_count_delta (
    queue_id integer NOT NULL,
    status smallint NOT NULL,
    day date NOT NULL,
    n integer NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='5000', autovacuum_vacuum_cost_delay='0');

-- Name: task_gone; Type: TABLE; Schema: pgmill; Owner: -

CREATE TABLE pgmill.task_gone (
    ended_at timestamp with time zone NOT NULL,
    ids bigint[] NOT NULL,
    attempts integer[] NOT NULL,
    holders bigint[] NOT NULL
)
PARTITION BY RANGE (ended_at);

-- Name: task_id; Type: SEQUENCE; Schema: pgmill; Owner: -

CREATE SEQUENCE pgmill.task_id
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

-- Name: task_key; Type: TABLE; Schema: pgmill; Owner: -

CREATE TABLE pgmill.task_key (
    queue_id integer NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    id bigint NOT NULL
);

-- Name: ticker; Type: TABLE; Schema: pgmill; Owner: -

CREATE TABLE pgmill.ticker (
    id integer NOT NULL,
    ns text NOT NULL COLLATE pg_catalog."C",
    ticker text NOT NULL COLLATE pg_catalog."C",
    payload json NOT NULL,
    "interval" bigint,
    cron text,
    time_zone text,
    policy smallint NOT NULL,
    catch_up integer NOT NULL,
    queue text COLLATE pg_catalog."C",
    priority smallint NOT NULL,
    ts timestamp with time zone,
    next_at timestamp with time zone,
    ticks bigint DEFAULT 0 NOT NULL,
    lease_until timestamp with time zone,
    holder bigint,
    CONSTRAINT ticker_catch_up_check CHECK (((catch_up >= 1) AND (catch_up <= 1000))),
    CONSTRAINT ticker_due CHECK (((next_at IS NULL) = (("interval" IS NULL) AND (cron IS NULL)))),
    CONSTRAINT ticker_interval_check CHECK ((("interval" >= 1000) AND ("interval" <= '3153600000000000'::bigint))),
    CONSTRAINT ticker_lease CHECK (((lease_until IS NULL) = (holder IS NULL))),
    CONSTRAINT ticker_policy_check CHECK (((policy >= 0) AND (policy <= 2))),
    CONSTRAINT ticker_priority_check CHECK (((priority >= 0) AND (priority <= 9))),
    CONSTRAINT ticker_schedule CHECK ((("interval" IS NULL) OR (cron IS NULL))),
    CONSTRAINT ticker_zone CHECK (((cron IS NULL) = (time_zone IS NULL)))
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='2000', autovacuum_vacuum_cost_delay='0');

-- Name: TABLE ticker; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON TABLE pgmill.ticker IS 'One row a ticker. Those of the namespace pgmill are the jobs of maintenance.';

-- Name: COLUMN ticker."interval"; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.ticker."interval" IS 'Microseconds from tick to tick; null: it goes by cron, or is disabled.';

-- Name: COLUMN ticker.policy; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.ticker.policy IS 'What becomes of missed ticks: 0 coalesce, 1 skip, 2 catch_up.';

-- Name: COLUMN ticker.queue; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.ticker.queue IS 'The queue, of the same namespace, in which each tick makes a task; null: ticks are handed out.';

-- Name: COLUMN ticker.ts; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.ticker.ts IS 'The grid point of the last tick.';

-- Name: COLUMN ticker.next_at; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.ticker.next_at IS 'The grid point that is due next; null: disabled.';

-- Name: COLUMN ticker.lease_until; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.ticker.lease_until IS 'Until when whoever took the tick keeps others from the next one. Only jobs of maintenance are leased.';

-- Name: ticker_id_seq; Type: SEQUENCE; Schema: pgmill; Owner: -

ALTER TABLE pgmill.ticker ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pgmill.ticker_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: token; Type: TABLE; Schema: pgmill; Owner: -

CREATE TABLE pgmill.token (
    id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    secret_hash bytea NOT NULL,
    role smallint NOT NULL,
    namespaces text[] COLLATE pg_catalog."C",
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone,
    CONSTRAINT token_check CHECK ((expires_at > created_at)),
    CONSTRAINT token_name_check CHECK (((octet_length(name) >= 1) AND (octet_length(name) <= 64))),
    CONSTRAINT token_namespaces_check CHECK (((cardinality(namespaces) >= 1) AND (cardinality(namespaces) <= 100))),
    CONSTRAINT token_role_check CHECK (((role >= 0) AND (role <= 4))),
    CONSTRAINT token_secret_hash_check CHECK ((octet_length(secret_hash) = 32))
);

-- Name: COLUMN token.secret_hash; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.token.secret_hash IS 'SHA-256 of the 64 digits of the secret, which are random, so that it needs no salt.';

-- Name: COLUMN token.namespaces; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.token.namespaces IS 'Null: all.';

-- Name: COLUMN token.last_used_at; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.token.last_used_at IS 'Written at most once a minute.';

-- Name: token_id_seq; Type: SEQUENCE; Schema: pgmill; Owner: -

ALTER TABLE pgmill.token ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pgmill.token_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: waiter; Type: TABLE; Schema: pgmill; Owner: -

CREATE UNLOGGED TABLE pgmill.waiter (
    ns text NOT NULL COLLATE pg_catalog."C",
    queue text NOT NULL COLLATE pg_catalog."C",
    process bigint NOT NULL,
    until timestamp with time zone NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='200');

-- Name: COLUMN waiter.queue; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.waiter.queue IS 'Empty: any queue of the namespace.';

-- Name: COLUMN waiter.until; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.waiter.until IS 'Until when the process is to be told, whether it sleeps or not.';

-- Name: watcher; Type: TABLE; Schema: pgmill; Owner: -

CREATE UNLOGGED TABLE pgmill.watcher (
    ns text NOT NULL COLLATE pg_catalog."C",
    process bigint NOT NULL,
    until timestamp with time zone NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='200');

-- Name: COLUMN watcher.until; Type: COMMENT; Schema: pgmill; Owner: -

COMMENT ON COLUMN pgmill.watcher.until IS 'Until when the process is to be told.';

-- Name: audit audit_pkey; Type: CONSTRAINT; Schema: pgmill; Owner: -

ALTER TABLE ONLY pgmill.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);

-- Name: enqueue_resent enqueue_resent_pkey; Type: CONSTRAINT; Schema: pgmill; Owner: -

ALTER TABLE ONLY pgmill.enqueue_resent
    ADD CONSTRAINT enqueue_resent_pkey PRIMARY KEY (flight);

-- Name: migration migration_pkey; Type: CONSTRAINT; Schema: pgmill; Owner: -

ALTER TABLE ONLY pgmill.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (version);

-- Name: queue queue_name; Type: CONSTRAINT; Schema: pgmill; Owner: -

ALTER TABLE ONLY pgmill.queue
    ADD CONSTRAINT queue_name UNIQUE (ns, queue);

-- Name: queue queue_pkey; Type: CONSTRAINT; Schema: pgmill; Owner: -

ALTER TABLE ONLY pgmill.queue
    ADD CONSTRAINT queue_pkey PRIMARY KEY (id);

-- Name: task_count task_count_pkey; Type: CONSTRAINT; Schema: pgmill; Owner: -

ALTER TABLE ONLY pgmill.task_count
    ADD CONSTRAINT task_count_pkey PRIMARY KEY (queue_id, status, day);

-- Name: task_key task_key_pkey; Type: CONSTRAINT; Schema: pgmill; Owner: -

ALTER TABLE ONLY pgmill.task_key
    ADD CONSTRAINT task_key_pkey PRIMARY KEY (queue_id, key);

-- Name: task task_pkey; Type: CONSTRAINT; Schema: pgmill; Owner: -

ALTER TABLE ONLY pgmill.task
    ADD CONSTRAINT task_pkey PRIMARY KEY (id);

-- Name: ticker ticker_name; Type: CONSTRAINT; Schema: pgmill; Owner: -

ALTER TABLE ONLY pgmill.ticker
    ADD CONSTRAINT ticker_name UNIQUE (ns, ticker);

-- Name: ticker ticker_pkey; Type: CONSTRAINT; Schema: pgmill; Owner: -

ALTER TABLE ONLY pgmill.ticker
    ADD CONSTRAINT ticker_pkey PRIMARY KEY (id);

-- Name: token token_pkey; Type: CONSTRAINT; Schema: pgmill; Owner: -

ALTER TABLE ONLY pgmill.token
    ADD CONSTRAINT token_pkey PRIMARY KEY (id);

-- Name: waiter waiter_pkey; Type: CONSTRAINT; Schema: pgmill; Owner: -

ALTER TABLE ONLY pgmill.waiter
    ADD CONSTRAINT waiter_pkey PRIMARY KEY (ns, queue, process);

-- Name: watcher watcher_pkey; Type: CONSTRAINT; Schema: pgmill; Owner: -

ALTER TABLE ONLY pgmill.watcher
    ADD CONSTRAINT watcher_pkey PRIMARY KEY (ns, process);

-- Name: audit_at; Type: INDEX; Schema: pgmill; Owner: -

CREATE INDEX audit_at ON pgmill.audit USING btree (at);

-- Name: task_attempt_id; Type: INDEX; Schema: pgmill; Owner: -

CREATE INDEX task_attempt_id ON ONLY pgmill.task_attempt USING btree (id);

-- Name: task_finished_id; Type: INDEX; Schema: pgmill; Owner: -

CREATE INDEX task_finished_id ON ONLY pgmill.task_finished USING btree (id);

-- Name: task_finished_status; Type: INDEX; Schema: pgmill; Owner: -

CREATE INDEX task_finished_status ON ONLY pgmill.task_finished USING btree (queue_id, status, created_at, ((id + 0)));

-- Name: task_gone_ended; Type: INDEX; Schema: pgmill; Owner: -

CREATE INDEX task_gone_ended ON ONLY pgmill.task_gone USING btree (ended_at);

-- Name: task_held; Type: INDEX; Schema: pgmill; Owner: -

CREATE INDEX task_held ON pgmill.task USING btree (queue_id, (((tried)::integer)::smallint), created_at, ((id + 0))) WHERE (run_at <> created_at);

-- Name: task_ready; Type: INDEX; Schema: pgmill; Owner: -

CREATE INDEX task_ready ON pgmill.task USING btree (queue_id, priority, run_at, ((id + 0)));

-- Name: ticker_due; Type: INDEX; Schema: pgmill; Owner: -

CREATE INDEX ticker_due ON pgmill.ticker USING btree (ns, next_at);

-- Name: ticker_leased; Type: INDEX; Schema: pgmill; Owner: -

CREATE INDEX ticker_leased ON pgmill.ticker USING btree (id) WHERE (lease_until IS NOT NULL);

-- Name: ticker_queue_due; Type: INDEX; Schema: pgmill; Owner: -

CREATE INDEX ticker_queue_due ON pgmill.ticker USING btree (next_at) WHERE (queue IS NOT NULL);

-- Name: token_name; Type: INDEX; Schema: pgmill; Owner: -

CREATE UNIQUE INDEX token_name ON pgmill.token USING btree (name) WHERE (revoked_at IS NULL);

