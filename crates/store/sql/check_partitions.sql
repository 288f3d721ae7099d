-- How far ahead the days of history are made, for each table that has them: for how many days from today on without a gap, 0 where
-- today is missing. Callers: the checks of `pgmill doctor` and of /health/ready. Reads catalogues alone. No lock.
SELECT t.name, coalesce(min(d.n) FILTER (WHERE c.oid IS NULL), 60)::integer AS days
FROM (VALUES ('task_finished'), ('task_attempt'), ('task_gone')) AS t(name)
CROSS JOIN generate_series(0, 59) AS d(n)
LEFT JOIN (
    SELECT c.oid, c.relname
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'pgmill' AND c.relispartition
) c ON c.relname = t.name || to_char((now() AT TIME ZONE 'UTC')::date + d.n, '"_"YYYYMMDD')
GROUP BY t.name
ORDER BY t.name
