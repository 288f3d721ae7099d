-- Creates the daily partitions of the history tables, from yesterday to p_ahead days from now, where they are missing.
-- Bounds are explicit in UTC, and there is no default partition: a row without a partition is an error that the caller
-- answers by calling this function.
--
-- Callers: the migration, maintenance, and a release that missed its partition.
-- Locks: an advisory transaction lock, so that two callers do not create the same table; SHARE UPDATE EXCLUSIVE on the
-- parent for the moment of ATTACH, which lets reads and writes go on. A lock that is not had within 50 ms is given up
-- with 55P03, and the caller tries again.
CREATE FUNCTION pgmill.ensure_partitions_v1(p_ahead integer) RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '50ms'
SET timezone = 'UTC'
AS $$
DECLARE
    v_today date := (now() AT TIME ZONE 'UTC')::date;
    v_parent text;
    v_column text;
    v_day date;
    v_child text;
    v_made integer := 0;
    -- Not by a cast, which DateStyle has a say in.
    c_start CONSTANT text := 'YYYY-MM-DD" 00:00:00+00"';
BEGIN
    PERFORM pg_advisory_xact_lock(1886219628, 1);
    FOREACH v_parent IN ARRAY ARRAY['task_finished', 'task_attempt', 'task_gone'] LOOP
        FOR v_day IN SELECT v_today + n FROM generate_series(-1, p_ahead) n LOOP
            v_child := v_parent || to_char(v_day, '"_"YYYYMMDD');
            CONTINUE WHEN to_regclass('pgmill.' || v_child) IS NOT NULL;
            EXECUTE format('CREATE TABLE pgmill.%I (LIKE pgmill.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                v_child, v_parent);
            EXECUTE format('ALTER TABLE pgmill.%I ATTACH PARTITION pgmill.%I FOR VALUES FROM (%L) TO (%L)',
                v_parent, v_child, to_char(v_day, c_start), to_char(v_day + 1, c_start));
            v_made := v_made + 1;
        END LOOP;
    END LOOP;
    RETURN v_made;
END
$$;

SELECT pgmill.ensure_partitions_v1(7);
