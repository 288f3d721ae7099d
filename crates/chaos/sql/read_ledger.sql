-- All entries of the ledger, in the order in which each task's were made. Run by the checker, when everything has stopped.
--
-- For one task the order is that of its row's locks, and so that of the commits. Times are in microseconds.
--
-- Locks: none. Relies on: no index; all is read.
SELECT l.op, l.id, coalesce(l.attempt_before, 0), coalesce(l.holder_before, 0), l.attempt, coalesce(l.holder, 0), l.spared, l.retries,
    (extract(epoch FROM l.at) * 1000000)::bigint, (extract(epoch FROM l.server_start) * 1000000)::bigint,
    (extract(epoch FROM l.lease_before) * 1000000)::bigint, (extract(epoch FROM l.started_before) * 1000000)::bigint,
    (extract(epoch FROM l.lease) * 1000000)::bigint, (extract(epoch FROM l.dies_at) * 1000000)::bigint,
    coalesce(l.spared_before, 0)
FROM chaos.ledger l
ORDER BY l.seq
