-- Has this connection told of changes of tasks. Caller: listener.rs, while somebody watches. Locks: none.
LISTEN pgmill_event;
