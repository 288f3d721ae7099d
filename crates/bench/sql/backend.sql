-- The process of this connection at the server, and what tells it from a process of another machine by the same number: the port
-- of the client in its title, or that it came by a Unix socket.
SELECT pg_backend_pid(), coalesce('(' || inet_client_port() || ')', '[local]')
