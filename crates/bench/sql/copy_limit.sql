-- The columns that pgmill's own COPY writes, into the same table: as it is by then, with the pages and indexes that earlier rounds
-- left.
COPY pgmill.task (id, run_at, created_at, dies_at, queue_id, retries, priority, payload)
FROM STDIN (FORMAT binary)
