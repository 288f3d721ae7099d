-- Writes many tasks in binary form. Locks: the new rows.
COPY pgmill.task (id, run_at, created_at, dies_at, queue_id, retries, priority, payload, traceparent) FROM STDIN (FORMAT binary)
