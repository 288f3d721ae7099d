-- Ends all provocations. Run when a fault is over.
--
-- Locks: none that others meet. Relies on: nothing.
DELETE FROM chaos.provocation
