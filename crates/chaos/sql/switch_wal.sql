-- Writes something to the log, and begins a new file of it. Run by a fault, again and again, while the disk is full.
--
-- Locks: none that others meet. Relies on: nothing.
SELECT pg_switch_wal(), pg_logical_emit_message(false, 'chaos', 'chaos')
