-- Lets one process at a time migrate; released at the end of its transaction. For this it waits as long as migration_begin
-- says. What the migration itself needs it does not stand in line for, with all batches behind it, for longer than a moment.
SELECT pg_advisory_xact_lock(1886219628, 0), set_config('lock_timeout', '100ms', true)
