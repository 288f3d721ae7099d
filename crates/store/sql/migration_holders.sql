-- Who holds a lock that a migration may wait for: on a table or index of pgmill, or the one under which migrations run; those
-- first whose transaction has gone on for longest.
--
-- Caller: migrate/holder.rs, when a migration did not get a lock in time. Of sessions that this role may not look into, only
-- the pid and the role are answered. Locks: none. Index: none; the views are in memory.
SELECT a.pid, a.usename::text AS role, a.application_name AS application, a.state,
    extract(epoch FROM clock_timestamp() - a.xact_start)::bigint AS seconds
FROM pg_stat_activity a
WHERE a.pid <> pg_backend_pid() AND EXISTS (
    SELECT FROM pg_locks l
    WHERE l.pid = a.pid AND l.granted AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
        AND (l.relation IN (SELECT c.oid FROM pg_class c WHERE c.relnamespace = to_regnamespace('pgmill'))
            OR (l.locktype = 'advisory' AND l.classid = 1886219628 AND l.objid = 0 AND l.objsubid = 2)))
ORDER BY a.xact_start
LIMIT 3
