-- Creates a token, or answers nothing where a token that is neither revoked nor expired has the name. One that has expired is
-- revoked for it, which frees the name; reading its count makes that come first. $6: for how many microseconds it is good.
-- For Manager::create_token. Locks: the new row, and the expired one. Relies on: token_name.
WITH expired AS (
    UPDATE pgmill.token SET revoked_at = now()
    WHERE name = $1 AND revoked_at IS NULL AND expires_at <= now()
    RETURNING id
)
INSERT INTO pgmill.token (name, secret_hash, role, namespaces, created_by, expires_at)
SELECT $1, $2, $3, $4, $5, now() + $6 * interval '1 microsecond'
FROM (SELECT count(*) FROM expired) AS first
ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING
RETURNING id, name, role, namespaces, created_at, created_by, expires_at, revoked_at, last_used_at
