-- Removes every ticker and every task, live and finished, of a namespace, and their counts, which deleting its queues would leave to
-- maintenance. Locks: the rows.
WITH queue AS MATERIALIZED (
    SELECT id FROM pgmill.queue WHERE ns = $1
), task AS (
    DELETE FROM pgmill.task t USING queue q WHERE t.queue_id = q.id
), finished AS (
    DELETE FROM pgmill.task_finished f USING queue q WHERE f.queue_id = q.id
), attempt AS (
    DELETE FROM pgmill.task_attempt a USING queue q WHERE a.queue_id = q.id
), count AS (
    DELETE FROM pgmill.task_count c USING queue q WHERE c.queue_id = q.id
), ticker AS (
    DELETE FROM pgmill.ticker WHERE ns = $1
)
DELETE FROM pgmill.task_count_delta d USING queue q WHERE d.queue_id = q.id
