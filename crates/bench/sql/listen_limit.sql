-- Where the one connection of the pickup limit hears of the other's rows.
LISTEN pgmill_bench
