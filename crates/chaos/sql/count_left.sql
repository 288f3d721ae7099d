-- How many tasks have not ended. Asked by the driver until there are none.
--
-- Locks: none. Relies on: no index.
SELECT count(*) FROM pgmill.task
