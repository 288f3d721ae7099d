-- What holds back VACUUM in this database, and how many connections the server has. Caller: whoever scrapes metrics.
-- The oldest snapshot or transaction of a session of this database, of a standby, of a prepared transaction or of a replication
-- slot: in transactions since, and in microseconds, which a slot does not tell. VACUUM does not count against VACUUM, nor does
-- this session against itself. Sessions of other roles tell only a member of pg_read_all_stats what they hold.
-- Connections are those of all databases; allowed are those that are not reserved for superusers and the like.
-- Reads no table. No lock.
SELECT coalesce(max(h.xids), 0)::bigint AS oldest_xmin,
    coalesce((extract(epoch FROM clock_timestamp() - min(h.since)) * 1000000)::bigint, 0) AS oldest_transaction,
    (SELECT coalesce(sum(d.numbackends), 0)::bigint FROM pg_stat_database d) AS connections,
    current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint
        - coalesce(current_setting('reserved_connections', true)::bigint, 0) AS connections_allowed
FROM (
    SELECT greatest(age(a.backend_xid), age(a.backend_xmin)) AS xids, a.xact_start AS since
    FROM pg_stat_activity a
    WHERE a.pid <> pg_backend_pid() AND (a.datname IS NULL OR a.datname = current_database())
        AND a.backend_type IS DISTINCT FROM 'autovacuum worker'
    UNION ALL
    SELECT age(p.transaction), p.prepared FROM pg_prepared_xacts p WHERE p.database = current_database()
    UNION ALL
    SELECT age(s.xmin), NULL FROM pg_replication_slots s
) h
WHERE h.xids IS NOT NULL
