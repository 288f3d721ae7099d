-- Deletes a ticker and answers it. Locks: the row. Relies on: ticker_name.
DELETE FROM pgmill.ticker t WHERE t.ns = $1 AND t.ticker = $2
RETURNING t.id, t.ns, t.ticker, t.payload::text, t.interval, t.cron, t.time_zone, t.policy, t.catch_up, t.queue,
    t.priority, t.ts, t.next_at
