-- Has others tell this process of changes of tasks, or no longer (migrations/0015_watcher.sql).
SELECT pgmill.watch_v1($1, $2, $3)
