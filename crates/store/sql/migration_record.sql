-- Records a migration.
INSERT INTO pgmill.migration (version, name, min_binary) VALUES ($1, $2, $3)
