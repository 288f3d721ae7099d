-- What lists read: every task once, in streams that an index has in order. (queue_id, stream, kind) names a stream; within it
-- tasks come by (at, place). What is said of at: it is created_at for each task that counts.
--
-- 0  live tasks by task_ready, one stream for each priority. run_at is when they were created, unless they were delayed or
--    tried before: these do not count here (counts is false). So tasks need no index for lists when they are created.
-- 1  those others, by task_held: one stream for those that were never tried, and one for those that were. They are told by a
--    column (belongs), for PostgreSQL takes no index's order through a part of a UNION that has conditions of its own.
-- 2  finished tasks, by task_finished_status: one stream for each status.
CREATE VIEW pgmill.listed_v1 AS
SELECT 0::smallint AS kind, t.queue_id, t.priority AS stream, t.run_at AS at, t.id + 0 AS place, t.id,
    NULL::timestamptz AS ended_at, true AS belongs, t.run_at = t.created_at AS counts,
    pgmill.live_status_v1(t.dies_at, t.lease_until, t.attempt, t.spared) AS status
FROM pgmill.task t
UNION ALL
SELECT 1::smallint, t.queue_id, t.tried::integer::smallint, t.created_at, t.id + 0, t.id,
    NULL::timestamptz, t.run_at <> t.created_at, true, pgmill.live_status_v1(t.dies_at, t.lease_until, t.attempt, t.spared)
FROM pgmill.task t
UNION ALL
SELECT 2::smallint, f.queue_id, f.status, f.created_at, f.id + 0, f.id, f.finished_at, true, true, f.status
FROM pgmill.task_finished f;

-- The retained tasks of some queues, by creation: all there are.
--
-- There is no index of them, for a retain would have to write it. They are what was due first, so they lie at the beginning of
-- task_ready, in each priority; and the counters tell how many there are, so that it is known when all are found. What is
-- read grows with how many are retained, and not with how many wait.
--
-- No lock. Relies on: task_ready; the changes of counts are read whole. The plan does not depend on statistics: see retain_v1.
CREATE FUNCTION pgmill.list_retained_v1(p_queues integer[]) RETURNS TABLE (id bigint, created_at timestamptz)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_material = off
SET jit = off
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

-- One page of the tasks of a namespace by (created_at, id), live and finished; of one queue (p_queue) and in one status
-- (p_status) where these are given; those behind a place (p_after_at, p_after), without the first p_offset of them.
-- Answers ids in that order. ended_at is null for a live task.
--
-- A task is in one of the streams of listed_v1. Of each as many as the page may need are read, and no further than to where
-- the page ends by what is known: by how the streams begin, and by what was read before. Streams of kind 0 are read last:
-- what does not count in them was met in kind 1 by then, so that what is passed over is no more than what was found there.
-- (Where new tasks are asked for and others are due to be tried again, all of those that lie before are passed over.)
--
-- So what is read depends on the page, on the queues of the namespace and the days of history, and not on how many tasks there
-- are. p_offset costs what lies before, some milliseconds for a thousand; p_after costs nothing.
--
-- A task past dies_at has expired, but nobody knows where it lies until the sweep ends it: for the expired ones the first
-- 1,000 live tasks are looked at.
--
-- No lock. Relies on: queue_name, task_ready, task_held, task_finished_status. The plan does not depend on statistics: see
-- retain_v1.
CREATE FUNCTION pgmill.list_tasks_v1(
    p_ns text, p_queue text, p_status smallint, p_after_at timestamptz, p_after bigint, p_offset bigint, p_limit bigint
) RETURNS TABLE (id bigint, created_at timestamptz, ended_at timestamptz)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET enable_incremental_sort = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_material = off
SET jit = off
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
