-- What the schema pgmill consists of, in words that do not depend on the version of PostgreSQL: a row for each table, column, index,
-- constraint and function. Days of history are left out, and so are the constraints of PostgreSQL 18 that say NOT NULL, which
-- columns tell. The name of the schema is left out too: PostgreSQL writes it where search_path does not have it, and a role that is
-- called as the schema has it there. Callers: the checks of `pgmill doctor`, and the test that writes down what is expected (schema.objects).
-- Reads catalogues alone. No lock.
WITH relation AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relkind, c.relpersistence, c.reloptions
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'pgmill' AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND NOT c.relispartition
)
SELECT o.kind, replace(o.name, 'pgmill.', '') AS name, replace(o.definition, 'pgmill.', '') AS definition
FROM (
    SELECT 'table' AS kind, r.relname::text AS name,
        concat_ws(' ', r.relkind::text, r.relpersistence::text,
            (SELECT string_agg(o, ' ' ORDER BY o) FROM unnest(r.reloptions) o)) AS definition
    FROM relation r
    UNION ALL
    SELECT 'column', r.relname || '.' || a.attname,
        concat_ws(' ', format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attnotnull THEN 'not null' END,
            CASE WHEN a.attcollation <> t.typcollation THEN 'collate ' || l.collname END,
            nullif('identity ' || a.attidentity::text, 'identity '),
            'default ' || pg_get_expr(d.adbin, d.adrelid))
    FROM relation r
    JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_collation l ON l.oid = a.attcollation
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE r.relkind <> 'S'
    UNION ALL
    SELECT 'index', x.relname::text, pg_get_indexdef(i.indexrelid) || CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END
    FROM relation r
    JOIN pg_index i ON i.indrelid = r.oid
    JOIN pg_class x ON x.oid = i.indexrelid
    UNION ALL
    SELECT 'constraint', r.relname || '.' || c.conname, pg_get_constraintdef(c.oid)
    FROM relation r
    JOIN pg_constraint c ON c.conrelid = r.oid AND c.contype <> 'n'
    UNION ALL
    SELECT 'function', p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
        concat_ws(' ', pg_get_function_result(p.oid), p.provolatile::text,
            (SELECT string_agg(o, ' ' ORDER BY o) FROM unnest(p.proconfig) o),
            encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex'))
    FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = 'pgmill'
    UNION ALL
    SELECT 'trigger', r.relname || '.' || t.tgname, pg_get_triggerdef(t.oid)
    FROM relation r
    JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
) o
