-- Ends what pin.sql began.
COMMIT
