-- How many transactions the database has seen. A connection reports its own with up to a second's delay, or ten where it has
-- nothing else to do.
SELECT (xact_commit + xact_rollback)::bigint FROM pg_stat_database WHERE datname = current_database()
