-- The namespaces that hold a queue, and the system's. No lock. Relies on: queue_name.
SELECT ns FROM pgmill.queue UNION SELECT 'pgmill' ORDER BY ns
