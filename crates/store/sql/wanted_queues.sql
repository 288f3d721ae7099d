-- The queues of a demand ($2, or all of the namespace if it is empty), and the time. Caller: the retain batcher, after a
-- claim that was slow and found too little. No lock. Relies on: queue_name.
SELECT q.id, q.queue, now() AS now FROM pgmill.queue q WHERE q.ns = $1 AND (cardinality($2) = 0 OR q.queue = ANY ($2))
