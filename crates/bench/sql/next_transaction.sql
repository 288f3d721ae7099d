-- The number that the next transaction gets which writes.
SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint
