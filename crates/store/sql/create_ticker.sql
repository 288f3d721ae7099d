-- Creates a ticker, or answers nothing where the name is taken. $5 to $7 and $13: the cron expression, its zone, whether
-- the ticker is disabled, and the first time the cron expression is due; $12 a time in place of the database's.
-- Locks: the new row. Relies on: ticker_name.
INSERT INTO pgmill.ticker AS t
    (ns, ticker, payload, "interval", cron, time_zone, queue, priority, policy, catch_up, next_at)
VALUES ($1, $2, coalesce($3, '{}')::json, CASE WHEN $5 IS NULL AND NOT $7 THEN coalesce($4, 60000000) END, $5, $6,
    nullif($8, ''), coalesce($9, 5), coalesce($10, 0), coalesce($11, 100),
    CASE WHEN NOT $7 THEN coalesce($13, $12, now()) END)
ON CONFLICT (ns, ticker) DO NOTHING
RETURNING t.id, t.ns, t.ticker, t.payload::text, t.interval, t.cron, t.time_zone, t.policy, t.catch_up, t.queue,
    t.priority, t.ts, t.next_at
