-- Reads the row that was told of.
SELECT payload FROM pgmill_bench.inserted WHERE id = $1
