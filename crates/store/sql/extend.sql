-- Extends leases (migrations/0006_extend.sql).
SELECT ord, lease_until FROM pgmill.extend_v1($1, $2, $3, $4, $5)
