-- Ends a live task of a namespace as cancelled (migrations/0016_interventions.sql).
SELECT c.code, $1::text AS ns, c.queue, $2::bigint AS id, c.status, c.priority, c.created_at, c.delayed_at, c.dies_at,
    NULL::timestamptz AS started_at, NULL::timestamptz AS finished_at, NULL::timestamptz AS lease_until,
    NULL::bigint AS holder, c.attempt, c.spared, c.retries, c.worker, c.key, c.payload::text, c.result::text, c.traceparent
FROM pgmill.cancel_v1($1, $2) c
