-- Creates a queue, or changes the settings that are given of the one there is. Parameters as in create_queue.sql.
-- An insert that finds the name taken has used up an id for nothing, so it is made only where no queue was found.
-- Locks: the row. Relies on: queue_name.
WITH changed AS (
    UPDATE pgmill.queue q SET
        ttl = CASE WHEN $3 THEN $4 ELSE q.ttl END,
        retries = coalesce($5, q.retries),
        retry_delay = coalesce($6, q.retry_delay),
        backoff = coalesce($7, q.backoff),
        max_retry_delay = coalesce($8, q.max_retry_delay),
        retention = coalesce($9, q.retention),
        retention_failed = coalesce($10, q.retention_failed),
        lease = coalesce($11, q.lease)
    WHERE q.ns = $1 AND q.queue = $2
    RETURNING *
), created AS (
    INSERT INTO pgmill.queue AS q
        (ns, queue, ttl, retries, retry_delay, backoff, max_retry_delay, retention, retention_failed, lease)
    SELECT $1, $2, CASE WHEN $3 THEN $4 ELSE 3600000000 END, coalesce($5, 3), coalesce($6, 120000000), coalesce($7, 0),
        coalesce($8, 86400000000), coalesce($9, 86400000000), coalesce($10, 604800000000), coalesce($11, 900000000)
    WHERE NOT EXISTS (SELECT FROM changed)
    ON CONFLICT (ns, queue) DO UPDATE SET
        ttl = CASE WHEN $3 THEN $4 ELSE q.ttl END,
        retries = coalesce($5, q.retries),
        retry_delay = coalesce($6, q.retry_delay),
        backoff = coalesce($7, q.backoff),
        max_retry_delay = coalesce($8, q.max_retry_delay),
        retention = coalesce($9, q.retention),
        retention_failed = coalesce($10, q.retention_failed),
        lease = coalesce($11, q.lease)
    RETURNING *
)
SELECT id, ns, queue, ttl, retries, retry_delay, backoff, max_retry_delay, retention, retention_failed, lease, paused_at
FROM changed
UNION ALL
SELECT id, ns, queue, ttl, retries, retry_delay, backoff, max_retry_delay, retention, retention_failed, lease, paused_at
FROM created
