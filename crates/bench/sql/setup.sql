-- Makes the tables that limits are measured on: copies of pgmill.task, so that they change with it. A run that was killed
-- may have left them, hence the DROP.
DROP SCHEMA IF EXISTS pgmill_bench CASCADE;
CREATE SCHEMA pgmill_bench;
-- What one-row INSERTs go into: the primary key is its only index.
CREATE TABLE pgmill_bench.inserted (
    LIKE pgmill.task INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
    PRIMARY KEY (id)
) WITH (fillfactor = 40);
-- Removes every queue, ticker and task of a namespace, live and finished, and their counts. Deleting the queues alone would leave
-- tasks and history to maintenance.
--
-- Where there are many, or what comes next is to find new pages (p_anew), and there is no queue but those of the namespace,
-- all tables are emptied: 10 million rows are gone at once. Few are deleted, so that the next round finds pages to use again,
-- as in production.
--
-- Locks: the queues, so that none is made meanwhile; then the rows, or the tables, for which it waits a second at most.
CREATE FUNCTION pgmill_bench.forget_tasks(p_ns text, p_queues boolean, p_anew boolean) RETURNS void
LANGUAGE plpgsql
SET lock_timeout = '1s'
AS $$
DECLARE
    v_large constant bigint := 256 << 20;
    v_queues integer[];
BEGIN
    LOCK TABLE pgmill.queue IN SHARE ROW EXCLUSIVE MODE;
    v_queues := ARRAY(SELECT id FROM pgmill.queue WHERE ns = p_ns);
    IF (p_anew OR pg_table_size('pgmill.task') + (
            SELECT coalesce(sum(pg_table_size(inhrelid)), 0) FROM pg_inherits
            WHERE inhparent = 'pgmill.task_finished'::regclass) > v_large)
        AND NOT EXISTS (SELECT FROM pgmill.queue WHERE ns <> p_ns)
    THEN
        TRUNCATE pgmill.task, pgmill.task_finished, pgmill.task_attempt, pgmill.task_gone, pgmill.task_key,
            pgmill.task_count, pgmill.task_count_delta;
    ELSE
        DELETE FROM pgmill.task WHERE queue_id = ANY (v_queues);
        DELETE FROM pgmill.task_finished WHERE queue_id = ANY (v_queues);
        DELETE FROM pgmill.task_attempt WHERE queue_id = ANY (v_queues);
        DELETE FROM pgmill.task_key WHERE queue_id = ANY (v_queues);
        DELETE FROM pgmill.task_count WHERE queue_id = ANY (v_queues);
        DELETE FROM pgmill.task_count_delta WHERE queue_id = ANY (v_queues);
    END IF;
    DELETE FROM pgmill.ticker WHERE ns = p_ns;
    DELETE FROM pgmill.queue WHERE p_queues AND ns = p_ns;
END
$$;
