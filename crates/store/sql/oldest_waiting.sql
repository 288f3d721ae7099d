-- Since when each queue of a namespace has had a task waiting (migrations/0017_oldest_waiting.sql).
SELECT queue, waited FROM pgmill.oldest_waiting_v1($1, $2)
