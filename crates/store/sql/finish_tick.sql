-- Ends the lease of a ticker ($3: who must have it), which is not due before $4 microseconds from now.
-- Locks: the row. Relies on: ticker_name.
UPDATE pgmill.ticker t
SET lease_until = NULL, holder = NULL,
    next_at = CASE WHEN t.next_at IS NOT NULL THEN greatest(t.next_at, now() + $4 * interval '1 microsecond') END
WHERE t.ns = $1 AND t.ticker = $2 AND t.holder = $3
RETURNING t.id
