-- Locks the table of tasks until the transaction ends: readers wait too. Run by a fault.
--
-- Locks: the table, and waits for all who use it, with everybody who comes later behind it. Relies on: nothing.
LOCK TABLE pgmill.task IN ACCESS EXCLUSIVE MODE
