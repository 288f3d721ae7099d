-- Does for all of pgmill's tables that may be large what autovacuum would come to do: after it, pages need no second write.
VACUUM (ANALYZE) pgmill.task, pgmill.task_finished, pgmill.task_count_delta
