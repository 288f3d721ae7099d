-- Tells of a row, after its commit and by a transaction of its own, as pgmill does.
SELECT pg_notify('pgmill_bench', $1)
