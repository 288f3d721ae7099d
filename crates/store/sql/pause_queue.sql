-- Pauses ($3) or resumes a queue: a paused one takes tasks and gives none. Pausing twice keeps the first time.
-- Locks: the row. Relies on: queue_name.
UPDATE pgmill.queue q SET paused_at = CASE WHEN $3 THEN coalesce(q.paused_at, now()) END
WHERE q.ns = $1 AND q.queue = $2
RETURNING id, ns, queue, ttl, retries, retry_delay, backoff, max_retry_delay, retention, retention_failed, lease, paused_at
