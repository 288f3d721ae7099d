-- What was written into the WAL between two positions: transactions, versions of rows that died, and bytes of images of pages. Counters of the statistics
-- would tell the same, but seconds later: a connection reports to them when it has been idle for a while.
SELECT
    coalesce(sum(count) FILTER (WHERE record = 'Transaction/COMMIT'), 0)::bigint AS commits,
    coalesce(sum(count) FILTER (WHERE record LIKE 'Heap/UPDATE%'), 0)::bigint AS updates,
    coalesce(sum(count) FILTER (WHERE record LIKE 'Heap/HOT\_UPDATE%'), 0)::bigint AS hot_updates,
    coalesce(sum(count) FILTER (WHERE record LIKE 'Heap/DELETE%'), 0)::bigint AS deletes,
    coalesce(sum(images), 0)::bigint AS images
FROM pg_get_wal_stats($1::text::pg_lsn, $2::text::pg_lsn, true) AS stats (record, count, count_share, size, size_share, images)
