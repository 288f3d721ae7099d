-- The language-neutral way in: creates one task in the caller's transaction and answers its id.
--
--   SELECT pgmill.create_task('myapp', 'emails', '{"to": "a@example.com"}');
--
-- delayed_at or delay hold the task back; priority goes from 0 (first) to 9; a second task with the same key in the
-- same queue is not created while the first lives or is retained, and the first one's id is answered.
-- Idle workers are woken by the commit, if there are any who want a task of that queue, and those who watch the namespace
-- are told. traceparent is the W3C trace
-- context that the task's attempts are linked to.
-- A payload has at most 1 MiB of text, or as many bytes as the setting pgmill.max_payload says.
-- Errors: P0002 no such queue; 22023 a value out of range; 22004 no payload.
CREATE FUNCTION pgmill.create_task(
    ns text, queue text, payload json,
    delayed_at timestamptz DEFAULT NULL, delay interval DEFAULT NULL, priority integer DEFAULT 5, key text DEFAULT NULL,
    traceparent text DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    v_ns text := btrim(ns, E' \t\n\r');
    -- In Turkish, the small letter of I is another one.
    v_queue text := lower(btrim(queue, E' \t\n\r') COLLATE "C");
    v_limit bigint := coalesce(nullif(current_setting('pgmill.max_payload', true), ''), '1048576');
    v_made record;
BEGIN
    IF payload IS NULL THEN
        RAISE EXCEPTION 'missing payload' USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Any JSON value is allowed, also ''null''::json.';
    END IF;
    IF octet_length(payload::text) > v_limit THEN
        RAISE EXCEPTION 'payload has % bytes, at most % are allowed', octet_length(payload::text), v_limit
            USING ERRCODE = 'invalid_parameter_value', HINT = 'The setting pgmill.max_payload changes the limit.';
    END IF;
    IF priority IS NULL OR priority NOT BETWEEN 0 AND 9 THEN
        RAISE EXCEPTION 'priority % is out of range', priority USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Allowed is 0 (first) to 9.';
    END IF;
    IF delayed_at IS NOT NULL AND delay IS NOT NULL THEN
        RAISE EXCEPTION 'delayed_at and delay exclude each other' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Give one of them.';
    END IF;
    -- Nobody could read infinity.
    IF delayed_at >= '2501-01-01 00:00:00+00' THEN
        RAISE EXCEPTION 'delayed_at % is out of range', delayed_at USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Allowed is a time before the year 2501.';
    END IF;
    IF delay < interval '0' OR delay > interval '100 years' THEN
        RAISE EXCEPTION 'delay % is out of range', delay USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Allowed is 0 to 100 years.';
    END IF;
    IF traceparent !~ '^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$' THEN
        RAISE EXCEPTION 'traceparent "%" is not one', traceparent USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Allowed is a W3C traceparent of version 00, such as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.';
    END IF;
    IF length(key) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION 'key has % characters', length(key) USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Allowed are 1 to 255.';
    END IF;
    -- json takes an escaped NUL and a lone surrogate, which no reader could decode; jsonb refuses them.
    PERFORM payload::jsonb;
    SELECT e.code, e.id, e.created_at INTO STRICT v_made FROM pgmill.enqueue_v1(
        ARRAY[v_ns], ARRAY[v_queue], ARRAY[nextval('pgmill.task_id')], ARRAY[1], ARRAY[payload::text],
        ARRAY[coalesce(delayed_at, clock_timestamp() + delay)], ARRAY[NULL::bigint], ARRAY[priority::smallint],
        CASE WHEN key IS NOT NULL THEN ARRAY[key] END, CASE WHEN traceparent IS NOT NULL THEN ARRAY[traceparent] END,
        NULL, false, false) AS e;
    IF v_made.code = 1 THEN
        RAISE EXCEPTION 'queue "%" does not exist in namespace "%"', v_queue, v_ns USING ERRCODE = 'no_data_found',
            HINT = 'Register the queue first.';
    ELSIF v_made.code = 2 THEN
        RAISE EXCEPTION 'delayed_at is in the past' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Allowed is now, within a second, or later.';
    END IF;
    IF v_made.code = 0 THEN
        PERFORM pgmill.wake_in_transaction_v1(v_ns, v_queue);
        PERFORM pgmill.tell_created_v1(v_ns, v_queue, v_made.id, v_made.created_at);
    END IF;
    RETURN v_made.id;
END
$$;
