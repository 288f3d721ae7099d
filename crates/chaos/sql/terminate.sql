-- Ends so many sessions of others, whatever they are at, by chance. Run by a fault.
--
-- Locks: none. Relies on: nothing.
SELECT count(pg_terminate_backend(v.pid))
FROM (
    SELECT a.pid FROM pg_catalog.pg_stat_activity a
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.application_name <> 'chaos'
    ORDER BY random() LIMIT $1
) v
