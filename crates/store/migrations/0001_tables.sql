-- The tables of pgmill. Names are schema-qualified throughout; nothing here depends on the search_path.
-- Durations are bigint microseconds. There are no foreign keys and no row locks shared between hot statements:
-- every statement joins pgmill.queue instead, and a queue that is gone takes its tasks out of sight with it.

CREATE TABLE pgmill.queue (
    id               integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ns               text COLLATE "C" NOT NULL,
    queue            text COLLATE "C" NOT NULL,
    ttl              bigint CHECK (ttl > 0),
    retries          integer NOT NULL CHECK (retries > 0),
    retry_delay      bigint NOT NULL CHECK (retry_delay >= 0),
    backoff          smallint NOT NULL CHECK (backoff BETWEEN 0 AND 3),
    max_retry_delay  bigint NOT NULL CHECK (max_retry_delay > 0),
    retention        bigint NOT NULL CHECK (retention >= 0),
    retention_failed bigint NOT NULL CHECK (retention_failed >= 0),
    lease            bigint NOT NULL CHECK (lease > 0),
    paused_at        timestamptz,
    CONSTRAINT queue_name UNIQUE (ns, queue)
);
COMMENT ON TABLE pgmill.queue IS 'One row a queue. An id is never used again, so a queue that is created anew under an old name is another queue.';
COMMENT ON COLUMN pgmill.queue.ttl IS 'Microseconds from a task''s creation (or delayed_at) to dies_at; null: tasks do not expire.';
COMMENT ON COLUMN pgmill.queue.retries IS 'Attempts in all, the first one included.';
COMMENT ON COLUMN pgmill.queue.backoff IS '0 exponential, 1 polynomial, 2 linear, 3 constant.';

-- Ids are reserved by each process in blocks before a statement is sent, so that an enqueue whose answer was lost can
-- be sent again under the same ids.
CREATE SEQUENCE pgmill.task_id AS bigint;

-- Live tasks only. The columns from attempt to worker change with a retain and stand in no index and no index
-- predicate: a retain is a HOT update. More than half of each page is kept free, for a new version is larger by its
-- lease, and all rows of a page may be retained at once.
CREATE TABLE pgmill.task (
    id          bigint NOT NULL,
    run_at      timestamptz NOT NULL,
    created_at  timestamptz NOT NULL,
    dies_at     timestamptz,
    queue_id    integer NOT NULL,
    retries     integer NOT NULL,
    priority    smallint NOT NULL,
    tried       boolean NOT NULL DEFAULT false,
    attempt     integer NOT NULL DEFAULT 0,
    lease_until timestamptz,
    started_at  timestamptz,
    holder      bigint,
    worker      text,
    spared      integer,
    payload     json NOT NULL,
    key         text,
    result      json,
    traceparent text,
    CONSTRAINT task_pkey PRIMARY KEY (id),
    CONSTRAINT task_priority CHECK (priority BETWEEN 0 AND 9),
    CONSTRAINT task_attempts CHECK (coalesce(spared, 0) >= 0 AND attempt >= coalesce(spared, 0)
        AND attempt - coalesce(spared, 0) <= retries),
    CONSTRAINT task_lease CHECK (lease_until IS NULL
        OR (attempt > 0 AND started_at IS NOT NULL AND holder IS NOT NULL AND worker IS NOT NULL))
) WITH (
    fillfactor = 40,
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.1,
    vacuum_truncate = off
);
-- id + 0 rather than id: on a table that was empty when it was analysed, an index that has id in any place passes for as
-- good as the primary key, and a look-up by id would walk all of it. An expression answers only to itself.
CREATE INDEX task_ready ON pgmill.task (queue_id, priority, run_at, (id + 0));
-- For lists by creation (list_tasks_v1): what task_ready has elsewhere than by its creation, for it was delayed or tried before;
-- they are told by tried. A task that is due when it is created is not in here, and no retain changes what is.
CREATE INDEX task_held ON pgmill.task (queue_id, (tried::integer::smallint), created_at, (id + 0))
    WHERE run_at <> created_at;
COMMENT ON TABLE pgmill.task IS 'Live tasks: new, retry, retained. A task leaves for task_finished in the statement that ends it.';
COMMENT ON COLUMN pgmill.task.run_at IS 'When the task may be retained: its creation, delayed_at, or the end of a retry delay.';
COMMENT ON COLUMN pgmill.task.attempt IS 'Retains so far; only ever grows. With id and holder it is the fence.';
COMMENT ON COLUMN pgmill.task.tried IS 'Whether an attempt had been spent when it came to wait: a column that no retain changes.';
COMMENT ON COLUMN pgmill.task.spared IS 'Retains that cost no attempt: given back or snoozed. Null: none.';
COMMENT ON COLUMN pgmill.task.traceparent IS 'The W3C trace context of whoever created the task.';
COMMENT ON COLUMN pgmill.task.lease_until IS 'Set while retained. Once it has passed, the task may be retained again.';

-- Insert-only history, one partition a day, made ahead of time by pgmill.ensure_partitions_v1.
CREATE TABLE pgmill.task_finished (
    id          bigint NOT NULL,
    finished_at timestamptz NOT NULL,
    created_at  timestamptz NOT NULL,
    delayed_at  timestamptz,
    dies_at     timestamptz,
    started_at  timestamptz,
    holder      bigint,
    queue_id    integer NOT NULL,
    retries     integer NOT NULL,
    attempt     integer NOT NULL,
    spared      integer,
    status      smallint NOT NULL CHECK (status BETWEEN 3 AND 6),
    priority    smallint NOT NULL,
    worker      text,
    payload     json NOT NULL,
    key         text,
    result      json,
    traceparent text
) PARTITION BY RANGE (finished_at);
CREATE INDEX task_finished_id ON pgmill.task_finished (id);
CREATE INDEX task_finished_status ON pgmill.task_finished (queue_id, status, created_at, (id + 0));
COMMENT ON COLUMN pgmill.task_finished.dies_at IS 'Null for a task that is done, and so is delayed_at unless it was held back.';
COMMENT ON COLUMN pgmill.task_finished.result IS 'Null for a task that is done without one.';
COMMENT ON COLUMN pgmill.task_finished.status IS '3 released, 4 failed, 5 expired, 6 cancelled.';

CREATE TABLE pgmill.task_attempt (
    id         bigint NOT NULL,
    started_at timestamptz,
    ended_at   timestamptz NOT NULL,
    holder     bigint,
    queue_id   integer NOT NULL,
    attempt    integer NOT NULL,
    outcome    smallint NOT NULL CHECK (outcome BETWEEN 0 AND 6),
    worker     text,
    error      json
) PARTITION BY RANGE (ended_at);
CREATE INDEX task_attempt_id ON pgmill.task_attempt (id);
COMMENT ON TABLE pgmill.task_attempt IS 'One row for each attempt that did not succeed.';
COMMENT ON COLUMN pgmill.task_attempt.holder IS 'Who released it; null where the lease lapsed.';
COMMENT ON COLUMN pgmill.task_attempt.outcome IS '0 retry, 1 failed, 2 lapsed, 3 given_back, 4 snoozed, 5 cancelled, 6 expired.';

-- Tasks that ended without a row in task_finished (retention 0), or were cleaned away at once: one row a batch, just
-- enough to tell a repeated enqueue or release that it was done already.
CREATE TABLE pgmill.task_gone (
    ended_at timestamptz NOT NULL,
    ids      bigint[] NOT NULL,
    attempts integer[] NOT NULL,
    holders  bigint[] NOT NULL
) PARTITION BY RANGE (ended_at);
CREATE INDEX task_gone_ended ON pgmill.task_gone (ended_at);

-- Idempotency keys, and the task that has each. It holds the key while it lives and until its retention ends; so a
-- release has nothing to write here, and nothing to wait for.
CREATE TABLE pgmill.task_key (
    queue_id integer NOT NULL,
    key      text COLLATE "C" NOT NULL,
    id       bigint NOT NULL,
    CONSTRAINT task_key_pkey PRIMARY KEY (queue_id, key)
);

-- Enqueue statements that were sent a second time, by the first id in them. The first sending, should it reach the
-- server only now, finds itself here and writes nothing. Retries of tasks stand here too (retry_v1), each by an id of its own.
CREATE TABLE pgmill.enqueue_resent (
    flight    bigint PRIMARY KEY,
    resent_at timestamptz NOT NULL DEFAULT now()
);

-- Counts are the sum of task_count and the signed changes in task_count_delta, by stored state; finished states by
-- the day of their partition, so that dropping a day drops its counts.
CREATE TABLE pgmill.task_count (
    queue_id integer NOT NULL,
    status   smallint NOT NULL,
    day      date NOT NULL,
    n        bigint NOT NULL,
    PRIMARY KEY (queue_id, status, day)
) WITH (fillfactor = 50);
CREATE TABLE pgmill.task_count_delta (
    queue_id integer NOT NULL,
    status   smallint NOT NULL,
    day      date NOT NULL,
    n        integer NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
COMMENT ON COLUMN pgmill.task_count.day IS 'UTC day of finished_at; -infinity for live states.';
