-- The attempts of a task that did not succeed, first to last. No lock. Relies on: task_attempt_id.
SELECT a.attempt, a.worker, a.started_at, a.ended_at, a.outcome, a.error::text
FROM pgmill.task_attempt a
JOIN pgmill.queue q ON q.id = a.queue_id
WHERE q.ns = $1 AND a.id = $2
ORDER BY a.attempt, a.ended_at
