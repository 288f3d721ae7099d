-- Makes the tables that limits are measured on: copies of pgmill.task, so that they change with it. A run that was killed
-- may have left them, hence the DROP.
DROP SCHEMA IF EXISTS pgmill_bench CASCADE;
CREATE SCHEMA pgmill_bench;
-- What one-row INSERTs go into: the primary key is its only index.
CREATE TABLE pgmill_bench.inserted (
    LIKE pgmill.task INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
    PRIMARY KEY (id)
) WITH (fillfactor = 40);
-- What COPY goes into: with both indexes, as pgmill.task has them.
CREATE TABLE pgmill_bench.copied (LIKE pgmill.task INCLUDING ALL) WITH (fillfactor = 40);
