-- Revokes a token: from the commit on it opens nothing. Revoking twice keeps the first time. For Manager::revoke_token.
-- Locks: the row. Relies on: token_pkey.
UPDATE pgmill.token SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1
RETURNING id, name, role, namespaces, created_at, created_by, expires_at, revoked_at, last_used_at
