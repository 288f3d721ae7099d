-- Folds count changes into the counts (migrations/0009_maintenance.sql).
SELECT folded, bytes FROM pgmill.fold_counts_v1($1)
