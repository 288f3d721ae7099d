-- What the role may not do and the engine has to: a row for each. The essential ones are those without which no task can be created,
-- retained and released; without the others, this process cannot maintain the database or manage it, and another has to. Caller: the checks of `pgmill doctor` and of /health/ready.
-- Days of history are reached through the table they are of, whose privileges count. Reads catalogues alone. No lock.
WITH relation AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relkind, c.relowner
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'pgmill' AND c.relkind IN ('r', 'p', 'v', 'S') AND NOT c.relispartition
)
SELECT 'USAGE on the schema pgmill' AS lacks, true AS essential
FROM pg_namespace n
WHERE n.nspname = 'pgmill' AND NOT has_schema_privilege(n.oid, 'USAGE')
UNION ALL
SELECT v.privilege || ' on pgmill.' || r.relname,
    CASE v.privilege
        WHEN 'SELECT' THEN r.relkind <> 'v' AND r.relname NOT IN ('audit', 'token')
        WHEN 'INSERT' THEN r.relname IN ('task', 'task_finished', 'task_attempt', 'task_gone', 'task_key', 'task_count_delta',
            'enqueue_resent', 'waiter', 'watcher')
        WHEN 'UPDATE' THEN r.relname IN ('task', 'task_key', 'waiter', 'watcher')
        ELSE r.relname IN ('task', 'waiter', 'watcher')
    END
FROM relation r
CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) AS v(privilege)
WHERE r.relkind <> 'S' AND (v.privilege = 'SELECT' OR (r.relkind <> 'v' AND r.relname <> 'migration'))
    AND NOT has_table_privilege(r.oid, v.privilege)
UNION ALL
SELECT 'USAGE on the sequence pgmill.' || r.relname, true
FROM relation r
WHERE r.relname = 'task_id'
    -- A condition may be asked before the one beside it, and this one fails of what is no sequence.
    AND NOT CASE WHEN r.relkind = 'S' THEN has_sequence_privilege(r.oid, 'USAGE') ELSE true END
UNION ALL
SELECT 'EXECUTE on ' || p.oid::regprocedure::text, true
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = 'pgmill' AND NOT has_function_privilege(p.oid, 'EXECUTE')
UNION ALL
SELECT 'CREATE on the schema pgmill', false
FROM pg_namespace n
WHERE n.nspname = 'pgmill' AND NOT has_schema_privilege(n.oid, 'CREATE')
UNION ALL
SELECT 'ownership of pgmill.' || r.relname, false
FROM relation r
WHERE r.relkind = 'p' AND NOT pg_has_role(r.relowner, 'USAGE')
UNION ALL
SELECT 'TRUNCATE on pgmill.' || r.relname, false
FROM relation r
WHERE r.relname = 'task_count_delta' AND NOT has_table_privilege(r.oid, 'TRUNCATE')
ORDER BY 2 DESC, 1
