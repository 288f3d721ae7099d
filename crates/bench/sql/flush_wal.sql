-- Has all WAL so far written to disk, so that it can be read: a commit that was not waited for may still be in memory.
SELECT pg_logical_emit_message(true, 'pgmill-bench', '') IS NOT NULL
