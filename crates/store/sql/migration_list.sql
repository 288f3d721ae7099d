-- The migrations that were applied, and the oldest binary each allows.
SELECT version, min_binary FROM pgmill.migration ORDER BY version
