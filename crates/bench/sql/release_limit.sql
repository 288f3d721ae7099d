-- Releases tasks as done with the result null: the statement that the release batcher sends, without the batcher.
SELECT ord, code, status, ended_at, run_at, attempt, spared, retries,
    queue_id, queue, priority, created_at, dies_at, started_at, worker, key, payload::text
FROM pgmill.release_v1(ARRAY[$1], $2, array_fill(1, ARRAY[$5]), $3, array_fill($4, ARRAY[$5]),
    array_fill(0::smallint, ARRAY[$5]), array_fill('null'::text, ARRAY[$5]), array_fill(NULL::bigint, ARRAY[$5]), false)
