-- Looks for functions that read WAL where their extension is, which may have been there before. No row where it is not.
SELECT set_config('search_path', quote_ident(n.nspname), false)
FROM pg_extension e
JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_walinspect'
