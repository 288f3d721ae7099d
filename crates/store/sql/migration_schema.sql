-- Whether the record of migrations exists.
SELECT to_regclass('pgmill.migration') IS NOT NULL AS recorded
