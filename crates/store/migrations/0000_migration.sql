-- What every later migration stands on: the schema, and the record of the migrations themselves. Runs each time under the
-- migration lock, and does nothing where it has run before.
-- Not IF NOT EXISTS, which asks for the right to create schemas also where there is nothing to create.
DO $$
BEGIN
    IF to_regnamespace('pgmill') IS NULL THEN
        CREATE SCHEMA pgmill;
    END IF;
END
$$;
CREATE TABLE IF NOT EXISTS pgmill.migration (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    min_binary text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN pgmill.migration.min_binary IS 'The oldest version of pgmill that can work with the database after this migration.';
