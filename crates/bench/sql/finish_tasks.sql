-- Writes $3 finished tasks of a queue as if they had ended one after the other between two times ($4, $5: seconds ago), 97 of a
-- hundred of them done, with the payloads $6 in turn. Counted as every statement of the library that ends tasks counts them.
WITH finished AS (
    INSERT INTO pgmill.task_finished (id, finished_at, created_at, started_at, holder, queue_id, retries, attempt, spared,
        status, priority, worker, payload, result)
    SELECT nextval('pgmill.task_id'), e.at, e.at - interval '1 second', e.at - interval '1 millisecond', 2, q.id, q.retries,
        1, 0, CASE WHEN n % 100 < 97 THEN 3 ELSE n % 100 - 93 END, 5, 'bench',
        ($6::text[])[1 + n % cardinality($6::text[])]::json, 'null'
    FROM pgmill.queue q
    CROSS JOIN generate_series(1, $3::integer) AS n
    CROSS JOIN LATERAL (
        SELECT now() - ($4::float8 + ($5::float8 - $4::float8) * n / $3::integer) * interval '1 second'
    ) AS e(at)
    WHERE q.ns = $1 AND q.queue = $2
    RETURNING queue_id, status, finished_at
)
INSERT INTO pgmill.task_count_delta (queue_id, status, day, n)
SELECT queue_id, status, (finished_at AT TIME ZONE 'UTC')::date, count(*)
FROM finished
GROUP BY 1, 2, 3
