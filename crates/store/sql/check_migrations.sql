-- Where the record of migrations and this binary's list of them ($1 versions, $2 names, $3 texts) differ, a row for each: 0 it is
-- missing, 1 it was applied by a newer binary, 2 it was applied with another text. What was recorded without a checksum
-- was applied before there was one. Caller: the checks of `pgmill doctor`. No lock. Reads the record whole.
SELECT coalesce(k.version, m.version) AS version, coalesce(k.name, m.name) AS name,
    CASE WHEN m.version IS NULL THEN 0 WHEN k.version IS NULL THEN 1 ELSE 2 END::smallint AS state
FROM unnest($1, $2, $3) AS k(version, name, text)
FULL JOIN pgmill.migration m ON m.version = k.version
WHERE m.version IS NULL OR k.version IS NULL OR m.checksum <> encode(sha256(convert_to(k.text, 'UTF8')), 'hex')
ORDER BY 1
