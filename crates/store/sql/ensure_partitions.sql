-- Makes the daily partitions of the history tables (migrations/0002_ensure_partitions.sql).
SELECT pgmill.ensure_partitions_v1($1)
