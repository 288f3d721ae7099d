-- Opens a COPY of many tasks into one queue: takes the locks that enqueue takes, the queue's and the flight's ($3, the
-- first id), before anything is read. Relies on: queue_name.
SELECT q.id, pg_advisory_xact_lock_shared(1886219625, q.id),
    pg_advisory_xact_lock(1886219626, ($3::bigint % 2147483647)::integer)
FROM pgmill.queue q
WHERE q.ns = $1 AND q.queue = $2
