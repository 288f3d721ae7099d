-- Creates one task in a transaction that is open on a connection of another driver. As enqueue.sql, but for one task, with
-- its id reserved by the way, and with times as text: $4, the earliest start, and those of the answer, in UTC.
SELECT e.code, e.id, e.queue_id, e.retries,
    to_char(e.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at,
    to_char(e.run_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS run_at,
    to_char(e.dies_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS dies_at
FROM pgmill.enqueue_v1(
    ARRAY[$1], ARRAY[$2], ARRAY[nextval('pgmill.task_id')], ARRAY[1], ARRAY[$3], ARRAY[$4::timestamptz], ARRAY[$5],
    ARRAY[$6], CASE WHEN $7 IS NOT NULL THEN ARRAY[$7] END, CASE WHEN $8 IS NOT NULL THEN ARRAY[$8] END,
    NULL, false, false) e
