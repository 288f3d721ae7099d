-- Makes a finished task of a namespace live again (migrations/0016_interventions.sql).
SELECT r.code, r.key_holder, $1::text AS ns, r.queue, $2::bigint AS id, r.status, r.priority, r.created_at,
    r.delayed_at, r.dies_at, NULL::timestamptz AS started_at, NULL::timestamptz AS finished_at,
    NULL::timestamptz AS lease_until, NULL::bigint AS holder, r.attempt, r.spared, r.retries, r.worker, r.key,
    r.payload::text, r.result::text, r.traceparent
FROM pgmill.retry_v1($1, $2) r
