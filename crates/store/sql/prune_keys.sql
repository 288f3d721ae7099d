-- Deletes idempotency keys that no task holds any longer (migrations/0009_maintenance.sql).
SELECT pruned, queue_id, key FROM pgmill.prune_keys_v1($1, $2, $3)
