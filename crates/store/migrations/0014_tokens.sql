-- Who may use the HTTP interface, and who changed what. Both concern the whole database, not one namespace, and are small:
-- a token is made by hand, and what is audited is done by people, not by tasks.
CREATE TABLE pgmill.token (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text COLLATE "C" NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 64),
    secret_hash  bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
    role         smallint NOT NULL CHECK (role BETWEEN 0 AND 4),
    namespaces   text[] COLLATE "C" CHECK (cardinality(namespaces) BETWEEN 1 AND 100),
    created_at   timestamptz NOT NULL DEFAULT now(),
    created_by   text NOT NULL,
    expires_at   timestamptz CHECK (expires_at > created_at),
    revoked_at   timestamptz,
    last_used_at timestamptz
);
COMMENT ON COLUMN pgmill.token.secret_hash IS 'SHA-256 of the 64 digits of the secret, which are random, so that it needs no salt.';
COMMENT ON COLUMN pgmill.token.namespaces IS 'Null: all.';
COMMENT ON COLUMN pgmill.token.last_used_at IS 'Written at most once a minute.';
-- A name is free again once its token is revoked. That of an expired one is freed by create_token.sql.
CREATE UNIQUE INDEX token_name ON pgmill.token (name) WHERE revoked_at IS NULL;

-- Append-only; rows leave after 90 days (sql/prune_audit.sql).
CREATE TABLE pgmill.audit (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT now(),
    actor      text NOT NULL,
    token_id   bigint,
    ns         text COLLATE "C",
    action     text COLLATE "C" NOT NULL,
    target     text COLLATE "C" NOT NULL,
    request_id text,
    detail     json
);
COMMENT ON COLUMN pgmill.audit.token_id IS 'Of a token that may be gone.';
CREATE INDEX audit_at ON pgmill.audit (at);
