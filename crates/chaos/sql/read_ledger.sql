-- All entries of the ledger, in the order in which each task's were made. Run by the checker, when everything has stopped.
--
-- For one task the order is that of its row's locks, and so that of the commits.
--
-- Locks: none. Relies on: no index; all is read.
SELECT op, id, coalesce(attempt_before, 0), coalesce(holder_before, 0), coalesce(leased_before, false),
    coalesce(lapsed, false), attempt, coalesce(holder, 0), spared, retries
FROM chaos.ledger
ORDER BY seq
