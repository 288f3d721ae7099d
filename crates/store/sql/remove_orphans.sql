-- Deletes what queues that are gone have left (migrations/0009_maintenance.sql).
SELECT tasks, keys, counts FROM pgmill.remove_orphans_v1($1)
