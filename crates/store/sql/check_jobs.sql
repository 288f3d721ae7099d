-- For how long (microseconds) each job of maintenance has been due that nobody has run, and its interval. One that is run now is not
-- due. Callers: the checks of `pgmill doctor` and of /health/ready. No lock. Relies on: ticker_due.
SELECT t.ticker AS name, coalesce(t.interval, 0) AS every,
    greatest(0, CASE WHEN t.lease_until > now() THEN 0 ELSE extract(epoch FROM now() - t.next_at) * 1000000 END)::bigint AS overdue
FROM pgmill.ticker t
WHERE t.ns = 'pgmill'
ORDER BY t.ticker
