-- For how long the server may be at the statement that follows in this transaction ($1, milliseconds), whatever the session says.
-- Caller: session.rs, before a look-up that has a limit of its own. No lock. Index: none.
SELECT set_config('statement_timeout', $1, true)
