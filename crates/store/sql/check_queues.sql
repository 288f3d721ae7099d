-- What an operator wants to know of each queue (migrations/0021_check_queues.sql).
SELECT ns, queue, live, done, failed, seen, paused, waited, lapsed, lapses, held, asked, ticked, keeps
FROM pgmill.check_queues_v1($1, $2)
