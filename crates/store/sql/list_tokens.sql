-- All tokens, newest first, those that open nothing any more too, and how many there are before offset and limit.
-- For Manager::list_tokens. No lock. Relies on: token_pkey. There are few.
SELECT c.count, t.id, t.name, t.role, t.namespaces, t.created_at, t.created_by, t.expires_at, t.revoked_at, t.last_used_at
FROM (SELECT count(*) FROM pgmill.token) AS c(count)
LEFT JOIN (SELECT * FROM pgmill.token ORDER BY id DESC OFFSET $1 LIMIT $2) t ON true
ORDER BY t.id DESC
