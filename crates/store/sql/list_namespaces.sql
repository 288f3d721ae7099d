-- The namespaces that hold a queue or a ticker, and the system's. No lock. Relies on: queue_name, ticker_name.
SELECT ns FROM pgmill.queue UNION SELECT ns FROM pgmill.ticker UNION SELECT 'pgmill' ORDER BY ns
