-- Counts the tasks that a COPY wrote.
INSERT INTO pgmill.task_count_delta (queue_id, status, day, n) VALUES ($1, 0, '-infinity', $2)
