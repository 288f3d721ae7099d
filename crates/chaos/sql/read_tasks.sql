-- Every task there is, live or finished, with the mark in its payload. Run by the checker, when everything has stopped.
--
-- The status is that which is stored: null for a live one.
--
-- Locks: none. Relies on: no index; all is read.
SELECT t.id, t.payload ->> 'mark', NULL::smallint, t.attempt, t.spared, t.retries, coalesce(t.holder, 0), t.key
FROM pgmill.task t
UNION ALL
SELECT f.id, f.payload ->> 'mark', f.status, f.attempt, f.spared, f.retries, coalesce(f.holder, 0), f.key
FROM pgmill.task_finished f
