-- The status of a live task, as the first match of: past dies_at, leased, no attempt counted, else waiting for another try.
CREATE FUNCTION pgmill.live_status_v1(dies_at timestamptz, lease_until timestamptz, attempt integer, spared integer)
RETURNS smallint
LANGUAGE sql STABLE
AS $$
SELECT (CASE
    WHEN dies_at <= now() THEN 5
    WHEN lease_until IS NOT NULL THEN 2
    WHEN attempt = coalesce(spared, 0) THEN 0
    ELSE 1
END)::smallint
$$;

-- Every task, live or finished, with what its status lets show: the result of an earlier attempt is hidden while the
-- next one runs, the start of an attempt while none runs, and the end of a task that is done has no dies_at. ended_at leads to
-- the partition of a finished task.
CREATE VIEW pgmill.any_task_v1 AS
SELECT t.id, t.queue_id, pgmill.live_status_v1(t.dies_at, t.lease_until, t.attempt, t.spared) AS status,
    t.priority, t.created_at,
    CASE WHEN t.run_at <> t.created_at THEN t.run_at END AS delayed_at,
    t.dies_at,
    CASE WHEN t.lease_until IS NOT NULL THEN t.started_at END AS started_at,
    NULL::timestamptz AS finished_at,
    t.lease_until,
    CASE WHEN t.lease_until IS NOT NULL THEN t.holder END AS holder,
    t.attempt, coalesce(t.spared, 0) AS spared, t.retries, t.worker, t.key, t.payload,
    CASE WHEN t.lease_until IS NULL THEN t.result END AS result,
    t.traceparent, NULL::timestamptz AS ended_at
FROM pgmill.task t
UNION ALL
SELECT f.id, f.queue_id, f.status, f.priority, f.created_at, f.delayed_at, f.dies_at,
    CASE WHEN f.status = 3 THEN f.started_at END,
    CASE WHEN f.status = 3 THEN f.finished_at END,
    NULL::timestamptz, NULL::bigint,
    f.attempt, coalesce(f.spared, 0), f.retries, f.worker, f.key, f.payload, f.result, f.traceparent, f.finished_at
FROM pgmill.task_finished f;
