-- Deletes finished tasks past their retention (migrations/0012_jobs.sql).
SELECT pruned, place FROM pgmill.prune_finished_v1($1, $2, $3, $4, $5)
