-- One queue by its name. No lock. Relies on: queue_name.
SELECT id, ns, queue, ttl, retries, retry_delay, backoff, max_retry_delay, retention, retention_failed, lease, paused_at
FROM pgmill.queue
WHERE ns = $1 AND queue = $2
