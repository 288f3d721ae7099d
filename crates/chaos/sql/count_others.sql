-- How many sessions there are beside those of the driver. Asked by the driver until there are none, so that nothing moves when
-- the tables are read.
--
-- Locks: none. Relies on: nothing.
SELECT count(*) FROM pg_catalog.pg_stat_activity a
WHERE a.datname = current_database() AND a.backend_type = 'client backend' AND a.application_name <> 'chaos'
