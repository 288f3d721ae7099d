-- How many dead row versions the tables of pgmill hold, as the statistics know it, partitions included.
SELECT coalesce(sum(pg_stat_get_dead_tuples(c.oid)), 0)::bigint
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'pgmill' AND c.relkind = 'r'
