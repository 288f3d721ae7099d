-- Lets one process at a time migrate; released at the end of its transaction. Those that start at once wait for it longer
-- than a session waits for other locks. What the migration itself needs it does not stand in line for, with all batches
-- behind it, for longer than a moment.
SELECT set_config('lock_timeout', '25s', true), pg_advisory_xact_lock(1886219628, 0),
    set_config('lock_timeout', '100ms', true)
