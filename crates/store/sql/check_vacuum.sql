-- How far VACUUM is behind in each table of pgmill, the days of history among them: dead rows, after how many it begins by itself,
-- when it ran last (microseconds ago, null: never since the statistics began), and whether it may. What its settings do not say
-- of themselves the server says. Caller: the checks of `pgmill doctor`. Reads catalogues and statistics. No lock.
SELECT c.relname::text AS name, s.n_live_tup AS live, s.n_dead_tup AS dead,
    (coalesce(o.threshold, current_setting('autovacuum_vacuum_threshold')::float8)
        + coalesce(o.scale, current_setting('autovacuum_vacuum_scale_factor')::float8) * greatest(c.reltuples, 0))::bigint AS trigger,
    (extract(epoch FROM now() - greatest(s.last_autovacuum, s.last_vacuum)) * 1000000)::bigint AS since,
    coalesce(o.enabled, true) AS enabled
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_stat_user_tables s ON s.relid = c.oid
CROSS JOIN LATERAL (
    SELECT max(x.option_value::float8) FILTER (WHERE x.option_name = 'autovacuum_vacuum_threshold') AS threshold,
        max(x.option_value::float8) FILTER (WHERE x.option_name = 'autovacuum_vacuum_scale_factor') AS scale,
        bool_and(x.option_value::boolean) FILTER (WHERE x.option_name = 'autovacuum_enabled') AS enabled
    FROM pg_options_to_table(c.reloptions) x
    WHERE x.option_name IN ('autovacuum_vacuum_threshold', 'autovacuum_vacuum_scale_factor', 'autovacuum_enabled')
) o
WHERE n.nspname = 'pgmill' AND c.relkind = 'r'
ORDER BY s.n_dead_tup DESC, c.relname
