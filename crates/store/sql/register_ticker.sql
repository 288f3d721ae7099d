-- Creates a ticker, or changes the settings that are given of the one there is. Parameters as in create_ticker.sql; where
-- $14 is true, the cron expression and zone of the one there is must still be $15 and $16, else nothing is answered.
-- The clock starts anew only where the interval or the cron expression becomes another: at the last tick, but not in the past.
-- Locks: the row. Relies on: ticker_name.
INSERT INTO pgmill.ticker AS t
    (ns, ticker, payload, "interval", cron, time_zone, queue, priority, policy, catch_up, next_at)
VALUES ($1, $2, coalesce($3, '{}')::json, CASE WHEN $5 IS NULL AND NOT $7 THEN coalesce($4, 60000000) END, $5, $6,
    nullif($8, ''), coalesce($9, 5), coalesce($10, 0), coalesce($11, 100),
    CASE WHEN NOT $7 THEN coalesce($13, $12, now()) END)
ON CONFLICT (ns, ticker) DO UPDATE SET
    payload = coalesce($3::json, t.payload),
    "interval" = CASE WHEN $5 IS NULL AND NOT $7 THEN coalesce($4, t.interval) END,
    cron = CASE WHEN $4 IS NULL AND NOT $7 THEN coalesce($5, t.cron) END,
    time_zone = CASE WHEN $4 IS NULL AND NOT $7 THEN coalesce($6, t.time_zone) END,
    queue = nullif(coalesce($8, t.queue), ''),
    priority = coalesce($9, t.priority),
    policy = coalesce($10, t.policy),
    catch_up = coalesce($11, t.catch_up),
    next_at = CASE
        WHEN $7 THEN NULL
        WHEN $5 IS NOT NULL THEN
            CASE WHEN (t.cron, t.time_zone) IS DISTINCT FROM ($5, $6) THEN $13 ELSE t.next_at END
        WHEN $4 IS DISTINCT FROM t.interval AND $4 IS NOT NULL THEN
            greatest(coalesce($12, now()), t.ts + $4 * interval '1 microsecond')
        ELSE t.next_at
    END
WHERE (NOT $14 OR (t.cron, t.time_zone) IS NOT DISTINCT FROM ($15, $16))
RETURNING t.id, t.ns, t.ticker, t.payload::text, t.interval, t.cron, t.time_zone, t.policy, t.catch_up, t.queue,
    t.priority, t.ts, t.next_at
