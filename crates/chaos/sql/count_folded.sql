-- How many counts maintenance has folded: what statements leave behind for it, so that it has been at work if there are any. Asked
-- by the driver until there are some, and by the checker.
--
-- Locks: none. Relies on: no index; all is read, which is a few rows for each queue.
SELECT count(*) FROM pgmill.task_count WHERE n <> 0
