-- Lets the lease of a ticker ($3: who must have it) run for $4 microseconds from now. Locks: the row. Relies on: ticker_name.
UPDATE pgmill.ticker t SET lease_until = now() + $4 * interval '1 microsecond'
WHERE t.ns = $1 AND t.ticker = $2 AND t.holder = $3
RETURNING t.id
