-- Retains up to $4 tasks of one queue for one caller: the statement that the retain batcher sends, without the batcher.
SELECT caller, id, queue_id, queue, priority, created_at, run_at, dies_at, started_at, lease_until,
    attempt, spared, retries, payload::text, key, traceparent
FROM pgmill.retain_one_v1($1, $2, ARRAY[$4], ARRAY['bench'], ARRAY[NULL::bigint], ARRAY[false],
    '{}', '{}', '{}', '{}', $3, '{}')
