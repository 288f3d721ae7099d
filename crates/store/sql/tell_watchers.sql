-- Tells those who watch of changes of tasks, and answers what is watched (migrations/0015_watcher.sql).
SELECT pgmill.tell_watchers_v1($1, $2, $3)
