-- So many ids of tasks, in one row.
SELECT ARRAY(SELECT nextval('pgmill.task_id') FROM generate_series(1, $1)) AS ids
