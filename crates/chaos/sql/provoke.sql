-- Lets a share of all changes of tasks fail with this error for so many milliseconds. Run by a fault.
--
-- Locks: none that others meet. Relies on: nothing.
INSERT INTO chaos.provocation (until, share, code)
VALUES (clock_timestamp() + $1::float8 * interval '1 millisecond', $2, $3)
