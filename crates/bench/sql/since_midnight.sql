-- How many seconds ago the day began in UTC, by which history is partitioned.
SELECT extract(epoch FROM now() AT TIME ZONE 'UTC' - date_trunc('day', now() AT TIME ZONE 'UTC'))::float8
