-- Makes the partition of three days ago, as ensure_partitions_v1 made it then, where it is missing: for history that is old
-- enough to be removed with its day.
DO $$
DECLARE
    v_day date := (now() AT TIME ZONE 'UTC')::date - 3;
    v_child text := 'task_finished' || to_char(v_day, '"_"YYYYMMDD');
BEGIN
    IF to_regclass('pgmill.' || v_child) IS NULL THEN
        EXECUTE format('CREATE TABLE pgmill.%I (LIKE pgmill.task_finished INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', v_child);
        EXECUTE format('ALTER TABLE pgmill.task_finished ATTACH PARTITION pgmill.%I FOR VALUES FROM (%L) TO (%L)',
            v_child, v_day::text || ' 00:00:00+00', (v_day + 1)::text || ' 00:00:00+00');
    END IF;
END
$$
