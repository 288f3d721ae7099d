-- Writes a day of the history anew with what is kept of it (migrations/0012_jobs.sql).
SELECT pgmill.rewrite_day_v1($1)
