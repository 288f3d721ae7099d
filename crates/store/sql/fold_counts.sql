-- Folds count changes into the counts (migrations/0009_maintenance.sql).
SELECT pgmill.fold_counts_v1($1)
