-- What there is to prune in the history (migrations/0012_jobs.sql).
SELECT step, parent, day, queue_id, status FROM pgmill.prune_steps_v1()
