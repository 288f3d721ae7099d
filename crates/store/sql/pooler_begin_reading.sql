-- Opens a transaction behind a pooler for a statement that only reads: as pooler_begin, and on a standby too, which refuses a
-- transaction that says it writes.
BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY;
SET LOCAL statement_timeout = '30s';
SET LOCAL lock_timeout = '5s';
SET LOCAL TimeZone = 'UTC';
