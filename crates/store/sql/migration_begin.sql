-- Limits of the transaction in which a step of the schema is applied. A step takes as long as it takes: what ends it before its
-- time would end the next attempt too. Those that start at once wait for the lock of migrations longer than a session waits
-- for other locks.
--
-- Caller: migrate.rs, first in each step's transaction, and before migration_lock: a limit holds for the statements that begin
-- after it was set. Locks: none. Index: none.
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = '25s';
