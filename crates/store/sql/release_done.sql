-- Ends the attempts of a batch that are done (migrations/0018_release_done.sql).
SELECT ended_at, released FROM pgmill.release_done_v1($1, $2, $3, $4, $5)
