-- Takes a snapshot, so that nothing is cleared away which a transaction open since may still see. Run by a fault, in a
-- transaction of its own that stays open.
--
-- Locks: none that others meet. Relies on: nothing.
SELECT count(*) FROM (SELECT FROM pgmill.task LIMIT 1) t
