-- Drops a day of a history table (migrations/0012_jobs.sql).
SELECT pgmill.drop_day_v1($1, $2)
