-- How many bytes of WAL the server has written since it was made, and the same as the server says it.
SELECT (lsn - '0/0')::bigint, lsn::text
FROM pg_current_wal_insert_lsn() AS lsn
