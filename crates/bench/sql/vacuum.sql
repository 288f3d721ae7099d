-- Frees what the round before has left, so that each starts alike and no autovacuum comes between.
VACUUM pgmill.task, pgmill.task_count_delta
