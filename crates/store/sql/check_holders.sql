-- Who holds back VACUUM in this database, those first that hold back most transactions, ten at most: sessions, prepared
-- transactions, replication slots, and standbys by their feedback. Of each, in transactions and in microseconds (which slots do not
-- tell), how long. As database_health, without this session and without VACUUM itself; of sessions of other roles only a member
-- of pg_read_all_stats sees what they hold. Not by time: slots do not tell theirs, and one that is forgotten would stand behind every
-- session. Callers: the checks of `pgmill doctor` and of /health/ready.
-- Reads no table. No lock.
SELECT h.kind, h.pid, h.who, h.query, h.xids, (extract(epoch FROM clock_timestamp() - h.since) * 1000000)::bigint AS held
FROM (
    SELECT CASE WHEN a.backend_type = 'walsender' THEN 'standby' ELSE 'session' END AS kind, a.pid,
        concat_ws(', ', a.usename, nullif(a.application_name, ''), a.state) AS who,
        left(regexp_replace(a.query, '\s+', ' ', 'g'), 200) AS query,
        greatest(age(a.backend_xid), age(a.backend_xmin))::bigint AS xids, a.xact_start AS since
    FROM pg_stat_activity a
    WHERE a.pid <> pg_backend_pid() AND (a.datname IS NULL OR a.datname = current_database())
        AND a.backend_type IS DISTINCT FROM 'autovacuum worker'
    UNION ALL
    SELECT 'prepared transaction', NULL, concat_ws(', ', p.gid, p.owner), NULL, age(p.transaction)::bigint, p.prepared
    FROM pg_prepared_xacts p WHERE p.database = current_database()
    UNION ALL
    SELECT 'replication slot', s.active_pid, s.slot_name, NULL, age(s.xmin)::bigint, NULL
    FROM pg_replication_slots s
) h
WHERE h.xids IS NOT NULL
ORDER BY h.xids DESC, h.since NULLS LAST
LIMIT 10
