-- Takes due ticks (migrations/0011_tickers.sql).
SELECT kind, id, ns, ticker, payload, "interval", cron, time_zone, policy, catch_up, queue, priority, ts, next_at, task_id,
    wait, clock
FROM pgmill.claim_ticks_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
