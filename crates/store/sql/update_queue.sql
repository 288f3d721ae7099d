-- Changes the settings that are given; $12 is a new name, or null. A name that is taken violates queue_name.
-- Locks: the row. Relies on: queue_name.
UPDATE pgmill.queue q SET
    ttl = CASE WHEN $3 THEN $4 ELSE q.ttl END,
    retries = coalesce($5, q.retries),
    retry_delay = coalesce($6, q.retry_delay),
    backoff = coalesce($7, q.backoff),
    max_retry_delay = coalesce($8, q.max_retry_delay),
    retention = coalesce($9, q.retention),
    retention_failed = coalesce($10, q.retention_failed),
    lease = coalesce($11, q.lease),
    queue = coalesce($12, q.queue)
WHERE q.ns = $1 AND q.queue = $2
RETURNING id, ns, queue, ttl, retries, retry_delay, backoff, max_retry_delay, retention, retention_failed, lease, paused_at
