-- Locks one more task, in the order in which nobody else locks them: the newest first, one after the other, while the
-- transaction stays open. Run by a fault, each time with the id that came before.
--
-- The queue of what is promised to run in order is left alone: a row that others hold is passed over, and so runs later.
--
-- Locks: a row, and waits for whoever has it. Relies on: task_pkey.
SELECT t.id FROM pgmill.task t
WHERE t.id < $1 AND t.queue_id <> (SELECT q.id FROM pgmill.queue q WHERE q.ns = 'apart' AND q.queue = 'ordered')
ORDER BY t.id DESC LIMIT 1
FOR UPDATE
