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
-- A record that was begun before there were checksums has none. Not IF NOT EXISTS, which locks the table where there is nothing to add.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'pgmill.migration'::regclass AND attname = 'checksum') THEN
        ALTER TABLE pgmill.migration ADD COLUMN checksum text;
    END IF;
END
$$;
COMMENT ON COLUMN pgmill.migration.checksum IS 'SHA-256 of the text that was applied; null: applied before this was recorded.';
COMMENT ON COLUMN pgmill.migration.min_binary IS 'The oldest version of pgmill that can work with the database after this migration.';
