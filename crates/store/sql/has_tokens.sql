-- Whether any token opens anything now. For Manager::has_tokens, by which a server sees at its start whether anybody could
-- get in. No lock. Relies on: token_name.
SELECT EXISTS (
    SELECT FROM pgmill.token WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())) AS usable
