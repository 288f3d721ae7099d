-- Ends a transaction behind a pooler; one that failed is rolled back.
COMMIT
