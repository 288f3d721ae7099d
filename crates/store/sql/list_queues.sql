-- The queues of a namespace by name, and how many there are before offset and limit. No lock. Relies on: queue_name.
SELECT c.count, q.id, q.ns, q.queue, q.ttl, q.retries, q.retry_delay, q.backoff, q.max_retry_delay,
    q.retention, q.retention_failed, q.lease, q.paused_at
FROM (SELECT count(*) FROM pgmill.queue WHERE ns = $1) AS c(count)
LEFT JOIN (SELECT * FROM pgmill.queue WHERE ns = $1 ORDER BY queue OFFSET $2 LIMIT $3) q ON true
ORDER BY q.queue
