-- Empties the tables of the limits between rounds.
TRUNCATE pgmill_bench.inserted;
