-- One ticker by its name, if there is one, and the time. No lock. Relies on: ticker_name.
SELECT now() AS clock, t.id, t.ns, t.ticker, t.payload::text, t.interval, t.cron, t.time_zone, t.policy, t.catch_up, t.queue,
    t.priority, t.ts, t.next_at
FROM (SELECT) AS one
LEFT JOIN pgmill.ticker t ON t.ns = $1 AND t.ticker = $2
