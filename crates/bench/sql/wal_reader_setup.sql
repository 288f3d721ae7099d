-- Reads WAL, where PostgreSQL has the extension (15 and newer) and the user may have it. Goes with the schema.
CREATE EXTENSION IF NOT EXISTS pg_walinspect SCHEMA pgmill_bench
