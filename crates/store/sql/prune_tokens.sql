-- Deletes up to $1 tokens that were revoked, or expired, more than 90 days ago: the audit does not know of them any more
-- either. For the job prune. Locks: the rows it deletes, skipping those that others hold. Relies on: token_pkey. There are few.
-- The last one stays, whatever became of it: a server that has had tokens asks for one for ever.
WITH pruned AS (
    DELETE FROM pgmill.token
    WHERE id = ANY (ARRAY(
        SELECT t.id FROM pgmill.token t
        WHERE least(t.revoked_at, t.expires_at) < now() - interval '90 days'
            AND t.id < (SELECT max(last.id) FROM pgmill.token last)
        LIMIT $1
        FOR UPDATE SKIP LOCKED))
    RETURNING id
)
SELECT count(*) AS pruned FROM pruned
