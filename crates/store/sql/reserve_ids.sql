-- Reserves $1 task ids for this process. No lock; what is not used is lost, and there are 2^63 of them.
SELECT nextval('pgmill.task_id') FROM generate_series(1, $1)
