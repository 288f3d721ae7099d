-- The tickers of a namespace by name, and how many there are before offset and limit. No lock. Relies on: ticker_name.
SELECT c.count, t.id, t.ns, t.ticker, t.payload::text, t.interval, t.cron, t.time_zone, t.policy, t.catch_up, t.queue,
    t.priority, t.ts, t.next_at
FROM (SELECT count(*) FROM pgmill.ticker WHERE ns = $1) AS c(count)
LEFT JOIN (SELECT * FROM pgmill.ticker WHERE ns = $1 ORDER BY ticker OFFSET $2 LIMIT $3) t ON true
ORDER BY t.ticker
