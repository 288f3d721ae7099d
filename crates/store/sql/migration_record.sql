-- Records a migration, and what was applied ($4) by its checksum.
INSERT INTO pgmill.migration (version, name, min_binary, checksum)
VALUES ($1, $2, $3, encode(sha256(convert_to($4, 'UTF8')), 'hex'))
