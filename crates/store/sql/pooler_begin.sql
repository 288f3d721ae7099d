-- Opens a transaction behind a pooler, where a session setting would outlive it on somebody else's connection.
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SET LOCAL statement_timeout = '30s';
SET LOCAL lock_timeout = '5s';
SET LOCAL TimeZone = 'UTC';
