-- Folds all count changes and begins their table anew (migrations/0009_maintenance.sql).
SELECT pgmill.rotate_counts_v1()
