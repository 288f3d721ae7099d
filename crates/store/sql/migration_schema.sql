-- Whether the record of migrations exists, and how the database is encoded.
SELECT to_regclass('pgmill.migration') IS NOT NULL AS recorded, current_setting('server_encoding') AS encoding
