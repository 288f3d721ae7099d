-- Reserves $1 task ids for this process, and answers them in one row: as a row each, they would cost more to read than all else
-- about creating a task. No lock; what is not used is lost, and there are 2^63 of them.
SELECT ARRAY(SELECT nextval('pgmill.task_id') FROM generate_series(1, $1)) AS ids
