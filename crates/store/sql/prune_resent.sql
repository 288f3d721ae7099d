-- Forgets the enqueue statements that were sent again, and the retries, of a day ago: no sending arrives that late.
-- Locks: the rows it deletes.
DELETE FROM pgmill.enqueue_resent WHERE resent_at < now() - interval '1 day'
