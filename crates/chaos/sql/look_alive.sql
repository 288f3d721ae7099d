-- Whether PostgreSQL has crashed since the last look: then the table is empty, and is filled again. Run by the driver, all the time.
--
-- Locks: none that others meet. Relies on: nothing.
WITH there AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM chaos.alive) AS yes
), again AS (
    INSERT INTO chaos.alive SELECT true FROM there WHERE NOT there.yes
)
SELECT NOT there.yes FROM there
