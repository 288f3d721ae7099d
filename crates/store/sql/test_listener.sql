-- Sends a listener something to hear. The commit does not wait for the disk. Locks: that of NOTIFY, for a moment.
SELECT set_config('synchronous_commit', 'off', true), pg_notify('pgmill', $1)
