-- What the server is, and how it is set up for this role and this database. Caller: the checks of `pgmill doctor` and of /health/ready.
-- Settings are those that a session begins with (reset_val), not those that pgmill gives its own. Those that a version does not have
-- are null. Connections are counted as in database_health. Reads no table. No lock.
SELECT current_setting('server_version_num')::integer AS version, current_setting('server_version') AS version_name,
    pg_is_in_recovery() AS in_recovery, clock_timestamp() AS clock,
    pg_notification_queue_usage() AS notify_queue,
    (SELECT age(d.datfrozenxid)::bigint FROM pg_database d WHERE d.datname = current_database()) AS frozen_age,
    (SELECT mxid_age(d.datminmxid)::bigint FROM pg_database d WHERE d.datname = current_database()) AS multixact_age,
    (SELECT coalesce(sum(d.numbackends), 0)::bigint FROM pg_stat_database d) AS connections,
    current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint
        - coalesce(current_setting('reserved_connections', true)::bigint, 0) AS connections_allowed,
    pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_all,
    s.*
FROM (
    SELECT max(s.reset_val) FILTER (WHERE s.name = 'default_transaction_isolation') AS isolation,
        max(s.reset_val) FILTER (WHERE s.name = 'default_transaction_read_only') AS read_only,
        max(s.reset_val) FILTER (WHERE s.name = 'synchronous_commit') AS synchronous_commit,
        max(s.reset_val) FILTER (WHERE s.name = 'fsync') AS fsync,
        max(s.reset_val) FILTER (WHERE s.name = 'full_page_writes') AS full_page_writes,
        max(s.reset_val) FILTER (WHERE s.name = 'autovacuum') AS autovacuum,
        max(s.reset_val) FILTER (WHERE s.name = 'track_counts') AS track_counts,
        max(s.reset_val::bigint) FILTER (WHERE s.name = 'idle_session_timeout') AS idle_session,
        max(s.reset_val::bigint) FILTER (WHERE s.name = 'idle_in_transaction_session_timeout') AS idle_in_transaction,
        max(s.reset_val::bigint) FILTER (WHERE s.name = 'transaction_timeout') AS whole_transaction
    FROM pg_settings s
    WHERE s.name IN ('default_transaction_isolation', 'default_transaction_read_only', 'synchronous_commit', 'fsync',
        'full_page_writes', 'autovacuum', 'track_counts', 'idle_session_timeout', 'idle_in_transaction_session_timeout',
        'transaction_timeout')
) s
