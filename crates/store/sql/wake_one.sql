-- As wake, of tasks in one queue ($2, $3), by a notice ($4) that was made before: what it mostly is.
--
-- Caller: Store::wake and Store::enqueue_and_wake, with one queue. Answers a row if somebody waits for it, and none otherwise.
-- Locks: that of NOTIFY, if somebody waits; its commit does not wait for the disk. Index: waiter_pkey.
--
-- No function, for whoever is told has just been asleep, and so has the server: by pgbench, with 40 ms and a task created
-- before each, wake_v1 takes 0.2 to 0.4 ms, and this 0.16 ms, though both take 0.04 ms one after the other. That its plan may
-- depend on statistics harms nobody: there are as many rows as there are processes that sleep.
SELECT pg_catalog.set_config('synchronous_commit', 'off', true), pg_catalog.pg_notify('pgmill', $4)
WHERE EXISTS (
    SELECT FROM pgmill.waiter w
    WHERE w.ns = $2 AND w.queue IN ($3, '') AND w.until > pg_catalog.now() AND w.process <> $1)
