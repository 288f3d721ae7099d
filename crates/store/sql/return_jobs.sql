-- Gives back the maintenance jobs that a runner ($1) holds, but for those it runs ($2): they are due at once, at the point of
-- the grid that they were taken at. Locks: the rows of the jobs. Relies on: ticker_leased.
UPDATE pgmill.ticker t SET lease_until = NULL, holder = NULL, next_at = t.ts
WHERE t.ns = 'pgmill' AND t.holder = $1 AND t.lease_until IS NOT NULL AND t.ticker <> ALL ($2)
