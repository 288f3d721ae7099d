-- Releases tasks as done with the result null: the statement that the release batcher sends, without the batcher.
SELECT ended_at, released
FROM pgmill.release_done_v1($1, $2, $3, array_fill($4, ARRAY[$5]), array_fill('null'::text, ARRAY[$5]))
