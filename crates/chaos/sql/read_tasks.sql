-- Every task there is, live or finished, with the mark in its payload. Run by the checker, when everything has stopped.
--
-- The status is that which is stored: null for a live one.
--
-- Locks: none. Relies on: no index; all is read.
SELECT t.id, t.payload ->> 'mark', NULL::smallint, t.attempt, coalesce(t.spared, 0), t.retries, coalesce(t.holder, 0), t.key
FROM pgmill.task t
UNION ALL
SELECT f.id, f.payload ->> 'mark', f.status, f.attempt, coalesce(f.spared, 0), f.retries, coalesce(f.holder, 0), f.key
FROM pgmill.task_finished f
