-- Lets one process at a time migrate; released at the end of its transaction.
SELECT pg_advisory_xact_lock(1886219628, 0)
