-- How many bytes of WAL the server has written since it was made.
SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint
