-- Writes down, in the transaction that does it, each change of a task: what the checker holds the processes' histories against.
-- Run once by the scene, on a database that is migrated.
--
-- The entry is there exactly if the change is: it commits with it, and a crash that undoes the change undoes the entry. The
-- function also fails at random while chaos.provocation says so: serialization failures and deadlocks at any statement of
-- the hot path, inside of whatever transaction it is in.
--
-- An entry has all that a rule about leases asks for: when its transaction began, which is what leases are compared with,
-- since when the server has run, and until when the lease ran before and runs now.
--
-- chaos.alive is emptied by each recovery from a crash, as every unlogged table is: that tells a crash from an outage.
--
-- Locks: none beside those of the statement. Relies on: no index; entries are read once, at the end.
CREATE SCHEMA chaos;
CREATE UNLOGGED TABLE chaos.alive (one boolean NOT NULL);
INSERT INTO chaos.alive VALUES (true);
CREATE TABLE chaos.provocation (until timestamptz NOT NULL, share float8 NOT NULL, code text NOT NULL);
CREATE TABLE chaos.ledger (
    seq            bigint GENERATED ALWAYS AS IDENTITY,
    op             text NOT NULL,
    id             bigint NOT NULL,
    at             timestamptz NOT NULL DEFAULT now(),
    server_start   timestamptz NOT NULL DEFAULT pg_postmaster_start_time(),
    attempt_before integer,
    holder_before  bigint,
    lease_before   timestamptz,
    started_before timestamptz,
    spared_before  integer,
    attempt        integer NOT NULL,
    holder         bigint,
    lease          timestamptz,
    spared         integer NOT NULL,
    retries        integer NOT NULL,
    dies_at        timestamptz
) WITH (autovacuum_enabled = off);
CREATE FUNCTION chaos.note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_code text;
    v_op text;
BEGIN
    SELECT p.code INTO v_code FROM chaos.provocation p WHERE p.until > clock_timestamp() AND random() < p.share LIMIT 1;
    IF v_code IS NOT NULL THEN
        RAISE EXCEPTION 'provoked' USING ERRCODE = v_code;
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO chaos.ledger (op, id, attempt, holder, lease, spared, retries, dies_at)
        VALUES ('created', NEW.id, NEW.attempt, NEW.holder, NEW.lease_until, coalesce(NEW.spared, 0), NEW.retries, NEW.dies_at);
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' THEN
        INSERT INTO chaos.ledger (op, id, attempt_before, holder_before, lease_before, started_before,
            spared_before, attempt, holder, spared, retries, dies_at)
        VALUES ('ended', OLD.id, OLD.attempt, OLD.holder, OLD.lease_until, OLD.started_at, coalesce(OLD.spared, 0),
            OLD.attempt, OLD.holder, coalesce(OLD.spared, 0), OLD.retries, OLD.dies_at);
        RETURN NULL;
    END IF;
    v_op := CASE
        WHEN NEW.attempt <> OLD.attempt THEN 'retained'
        WHEN OLD.lease_until IS NOT NULL AND NEW.lease_until IS NULL THEN 'returned'
        ELSE 'extended'
    END;
    INSERT INTO chaos.ledger (op, id, attempt_before, holder_before, lease_before, started_before,
        spared_before, attempt, holder, lease, spared, retries, dies_at)
    VALUES (v_op, NEW.id, OLD.attempt, OLD.holder, OLD.lease_until, OLD.started_at, coalesce(OLD.spared, 0),
        NEW.attempt, NEW.holder, NEW.lease_until, coalesce(NEW.spared, 0), NEW.retries, NEW.dies_at);
    RETURN NULL;
END
$$;
CREATE TRIGGER chaos_ledger AFTER INSERT OR UPDATE OR DELETE ON pgmill.task FOR EACH ROW EXECUTE FUNCTION chaos.note();
