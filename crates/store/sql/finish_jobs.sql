-- Ends the leases of maintenance jobs ($1) of one runner ($3). Each is due again at the next point of its grid that is at
-- least $2 microseconds from now: jobs that are due at the same time stay so, and are claimed by one statement. Answers
-- after how many microseconds the next job is due that nobody runs.
-- Locks: the rows of the jobs, in the order of their names. Relies on: ticker_name, ticker_due.
WITH done AS MATERIALIZED (
    SELECT t.id, e.pause
    FROM unnest($1, $2) AS e(job, pause)
    JOIN pgmill.ticker t ON t.ns = 'pgmill' AND t.ticker = e.job AND t.holder = $3
    ORDER BY e.job
    FOR UPDATE OF t
), finished AS (
    UPDATE pgmill.ticker t
    SET lease_until = NULL, holder = NULL,
        next_at = t.next_at + t.interval * interval '1 microsecond' * greatest(0, ceil(
            (extract(epoch FROM now() - t.next_at) * 1000000 + d.pause) / t.interval))
    FROM done d
    WHERE t.id = d.id
    RETURNING t.next_at
)
SELECT round(extract(epoch FROM min(n.next_at) - now()) * 1000000)::bigint AS wait
FROM (
    SELECT f.next_at FROM finished f
    UNION ALL
    SELECT t.next_at FROM pgmill.ticker t WHERE t.ns = 'pgmill' AND t.lease_until IS NULL
) n
