-- The id of a queue.
SELECT id FROM pgmill.queue WHERE ns = $1 AND queue = $2
