-- Tells other processes of tasks that are committed (migrations/0013_waiter.sql).
SELECT pgmill.wake_v1($1, $2, $3, $4)
