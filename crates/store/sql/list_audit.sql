-- What was done, newest first, and how often before offset and limit; $1 and $2 an action and a target, or null for any.
-- For Manager::list_audit. No lock. Relies on: audit_pkey, walked backwards and filtered on the way; the count reads the table.
-- It holds what people did in 90 days, and is read by people: an index for each filter would be paid for by every change.
SELECT c.count, a.id, a.at, a.actor, a.token_id, a.ns, a.action, a.target, a.request_id, a.detail::text AS detail
FROM (
    SELECT count(*) FROM pgmill.audit
    WHERE ($1 IS NULL OR action = $1) AND ($2 IS NULL OR target = $2)) AS c(count)
LEFT JOIN (
    SELECT * FROM pgmill.audit
    WHERE ($1 IS NULL OR action = $1) AND ($2 IS NULL OR target = $2)
    ORDER BY id DESC OFFSET $3 LIMIT $4) a ON true
ORDER BY a.id DESC
