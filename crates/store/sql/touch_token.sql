-- Records that a token is in use, unless that was recorded within the last minute: one write a minute and token, however many
-- processes use it. For Manager::touch_token. Locks: the row; leaves it be where somebody holds it, for it can wait a minute.
-- Relies on: token_pkey. No index has last_used_at, so the update is HOT.
UPDATE pgmill.token SET last_used_at = now()
WHERE id = (
    SELECT t.id FROM pgmill.token t
    WHERE t.id = $1 AND (t.last_used_at IS NULL OR t.last_used_at < now() - interval '1 minute')
    FOR UPDATE SKIP LOCKED)
