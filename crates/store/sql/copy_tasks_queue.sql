-- The queue that copy_tasks_open.sql locked, read again after the lock, and the time that the tasks are stamped with.
-- No lock. Relies on: queue_name.
SELECT q.id, q.ttl, q.retries, now() AS now FROM pgmill.queue q WHERE q.ns = $1 AND q.queue = $2
