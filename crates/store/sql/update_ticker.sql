-- Changes the settings that are given, as register_ticker.sql does; $17 is a new name, or null. A name that is taken
-- violates ticker_name. Locks: the row. Relies on: ticker_name.
UPDATE pgmill.ticker t SET
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
    END,
    ticker = coalesce($17, t.ticker)
WHERE t.ns = $1 AND t.ticker = $2 AND (NOT $14 OR (t.cron, t.time_zone) IS NOT DISTINCT FROM ($15, $16))
RETURNING t.id, t.ns, t.ticker, t.payload::text, t.interval, t.cron, t.time_zone, t.policy, t.catch_up, t.queue,
    t.priority, t.ts, t.next_at
