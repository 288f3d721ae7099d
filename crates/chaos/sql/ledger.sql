-- Writes down, in the transaction that does it, each change of a task: what the checker holds the processes' histories against.
-- Run once by the scene, on a database that is migrated.
--
-- The entry is there exactly if the change is: it commits with it, and a crash that undoes the change undoes the entry. The
-- function also fails at random while chaos.provocation says so: serialization failures and deadlocks at any statement of
-- the hot path, inside of whatever transaction it is in.
--
-- Locks: none beside those of the statement. Relies on: no index; entries are read once, at the end.
CREATE SCHEMA chaos;
CREATE TABLE chaos.provocation (until timestamptz NOT NULL, share float8 NOT NULL, code text NOT NULL);
CREATE TABLE chaos.ledger (
    seq            bigint GENERATED ALWAYS AS IDENTITY,
    op             text NOT NULL,
    id             bigint NOT NULL,
    attempt_before integer,
    holder_before  bigint,
    leased_before  boolean,
    lapsed         boolean,
    attempt        integer NOT NULL,
    holder         bigint,
    spared         integer NOT NULL,
    retries        integer NOT NULL
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
        INSERT INTO chaos.ledger (op, id, attempt, holder, spared, retries)
        VALUES ('created', NEW.id, NEW.attempt, NEW.holder, coalesce(NEW.spared, 0), NEW.retries);
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' THEN
        INSERT INTO chaos.ledger (op, id, attempt_before, holder_before, leased_before, lapsed, attempt, holder, spared, retries)
        VALUES ('ended', OLD.id, OLD.attempt, OLD.holder, OLD.lease_until IS NOT NULL, coalesce(OLD.lease_until < now(), false),
            OLD.attempt, OLD.holder, coalesce(OLD.spared, 0), OLD.retries);
        RETURN NULL;
    END IF;
    v_op := CASE
        WHEN NEW.attempt <> OLD.attempt THEN 'retained'
        WHEN OLD.lease_until IS NOT NULL AND NEW.lease_until IS NULL THEN 'returned'
        ELSE 'extended'
    END;
    INSERT INTO chaos.ledger (op, id, attempt_before, holder_before, leased_before, lapsed, attempt, holder, spared, retries)
    VALUES (v_op, NEW.id, OLD.attempt, OLD.holder, OLD.lease_until IS NOT NULL, coalesce(OLD.lease_until < now(), false),
        NEW.attempt, NEW.holder, coalesce(NEW.spared, 0), NEW.retries);
    RETURN NULL;
END
$$;
CREATE TRIGGER chaos_ledger AFTER INSERT OR UPDATE OR DELETE ON pgmill.task FOR EACH ROW EXECUTE FUNCTION chaos.note();
