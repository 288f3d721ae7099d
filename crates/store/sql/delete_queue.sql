-- Deletes a queue and answers it (migrations/0010_delete_queue.sql).
SELECT id, ns, queue, ttl, retries, retry_delay, backoff, max_retry_delay, retention, retention_failed, lease, paused_at
FROM pgmill.delete_queue_v1($1, $2)
