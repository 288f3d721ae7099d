-- Creates a queue, or answers nothing where the name is taken. $3 tells whether a ttl is given, for a null ttl means
-- that tasks do not expire.
-- An insert that finds the name taken has used up an id for nothing, so it is made only where none was found.
-- Locks: the new row. Relies on: queue_name.
INSERT INTO pgmill.queue (ns, queue, ttl, retries, retry_delay, backoff, max_retry_delay, retention, retention_failed, lease)
SELECT $1, $2, CASE WHEN $3 THEN $4 ELSE 3600000000 END, coalesce($5, 3), coalesce($6, 120000000), coalesce($7, 0),
    coalesce($8, 86400000000), coalesce($9, 86400000000), coalesce($10, 604800000000), coalesce($11, 900000000)
WHERE NOT EXISTS (SELECT FROM pgmill.queue q WHERE q.ns = $1 AND q.queue = $2)
ON CONFLICT (ns, queue) DO NOTHING
RETURNING id, ns, queue, ttl, retries, retry_delay, backoff, max_retry_delay, retention, retention_failed, lease, paused_at
