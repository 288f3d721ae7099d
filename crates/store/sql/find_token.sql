-- One token by its id, with what its secret is proven by, whether it opens anything now, and in how many microseconds it
-- expires: by the database's clock, so that a machine whose clock is wrong lets nobody in. For whoever checks a secret, and
-- Manager::get_token. No lock. Relies on: token_pkey.
SELECT id, name, role, namespaces, created_at, created_by, expires_at, revoked_at, last_used_at, secret_hash,
    revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) AS usable,
    (extract(epoch FROM expires_at - now()) * 1000000)::bigint AS remains
FROM pgmill.token WHERE id = $1
