-- Has this connection told of changes of tasks no longer. Caller: listener.rs, once nobody watches. Locks: none.
UNLISTEN pgmill_event;
