-- Has this connection told of tasks.
--
-- Caller: listener.rs, once for each of its connections, which are outside of the pool and direct. Locks: none.
LISTEN pgmill;
