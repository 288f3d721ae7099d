-- Session defaults of a pooled connection.
--
-- Caller: connect/pool.rs, once for each new connection, in direct mode only: behind a pooler in transaction mode a
-- SET would stay with a server connection that the next transaction of somebody else gets.
-- Locks: none. Index: none.
--
-- Whatever the role or the database has as defaults, the statements of this crate run under these: their locking rules
-- are written for read committed, times are read and shown in UTC, and nothing may wait or hold locks without end.
SET default_transaction_isolation = 'read committed';
SET default_transaction_read_only = off;
SET TimeZone = 'UTC';
SET statement_timeout = '30s';
SET lock_timeout = '5s';
SET idle_in_transaction_session_timeout = '60s';
SET client_min_messages = warning;
