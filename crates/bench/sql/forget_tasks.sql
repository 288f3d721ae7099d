-- Removes every ticker and task of a namespace, and its queues if $2: see setup.sql.
SELECT pgmill_bench.forget_tasks($1, $2, $3)
