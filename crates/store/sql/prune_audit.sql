-- Deletes up to $1 entries of the audit that are older than 90 days, the oldest first. For the job prune.
-- Locks: the rows it deletes, skipping those that others hold. Relies on: audit_at, audit_pkey.
WITH pruned AS (
    DELETE FROM pgmill.audit
    WHERE id = ANY (ARRAY(
        SELECT a.id FROM pgmill.audit a
        WHERE a.at < now() - interval '90 days'
        ORDER BY a.at LIMIT $1
        FOR UPDATE SKIP LOCKED))
    RETURNING id
)
SELECT count(*) AS pruned FROM pruned
