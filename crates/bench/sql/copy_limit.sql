-- The columns that pgmill's own COPY writes.
COPY pgmill_bench.copied (id, run_at, created_at, dies_at, queue_id, retries, priority, payload)
FROM STDIN (FORMAT binary)
