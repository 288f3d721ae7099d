-- How many transactions a database has seen. A connection has reported all of its own when it is gone.
SELECT (xact_commit + xact_rollback)::bigint FROM pg_stat_database WHERE datname = $1
