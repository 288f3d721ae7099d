-- How many dead row versions each table of pgmill holds, as the statistics know it, the days of a table together.
SELECT regexp_replace(c.relname, '_[0-9]{8}$', '') AS name, sum(pg_stat_get_dead_tuples(c.oid))::bigint AS dead
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'pgmill' AND c.relkind = 'r'
GROUP BY 1
ORDER BY 1
