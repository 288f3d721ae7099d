-- One row, by itself, into a table with a primary key: what a queue without batches does for each task.
INSERT INTO pgmill_bench.inserted (id, run_at, created_at, dies_at, queue_id, retries, priority, payload)
VALUES ($1, now(), now(), now() + interval '1 hour', 1, 3, 5, $2)
