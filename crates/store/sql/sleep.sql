-- What a process does before it sleeps (migrations/0013_waiter.sql).
SELECT pgmill.sleep_v1($1, $2, $3, $4)
