-- Forgets the enqueue statements that were sent again a day ago: a first sending does not arrive that late.
-- Locks: the rows it deletes. There are few.
DELETE FROM pgmill.enqueue_resent WHERE resent_at < now() - interval '1 day'
