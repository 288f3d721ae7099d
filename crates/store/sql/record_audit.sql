-- Appends to the audit what was done. For Manager::record_audit, once it is done. Locks: the new row.
INSERT INTO pgmill.audit (actor, token_id, ns, action, target, request_id, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7::json)
RETURNING id
