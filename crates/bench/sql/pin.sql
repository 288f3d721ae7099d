-- A transaction that holds back VACUUM for as long as it is open: it has a snapshot, and a number of its own.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SET LOCAL idle_in_transaction_session_timeout = 0;
SELECT txid_current();
