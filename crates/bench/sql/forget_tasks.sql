-- Removes every queue, ticker and task of a namespace: see setup.sql.
SELECT pgmill_bench.forget_tasks($1)
