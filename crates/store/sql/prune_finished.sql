-- Deletes finished tasks past their retention (migrations/0012_jobs.sql).
SELECT pruned, place_at, place
FROM pgmill.prune_finished_v1($1, $2, $3, coalesce($4, '-infinity'), coalesce($5, 0), $6)
