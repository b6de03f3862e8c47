-- API keys: `lk_PREFIX_SECRET`. The prefix finds the row; of the whole key only its SHA-256 is here.
CREATE TABLE api_keys (
    id text PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    prefix text NOT NULL UNIQUE,
    digest bytea NOT NULL CHECK (length(digest) = 32),
    role text NOT NULL CHECK (role IN ('client', 'freelancer', 'auditor', 'operator')),
    party_id text,
    person text,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at timestamptz,
    CHECK ((role IN ('client', 'freelancer')) = (party_id IS NOT NULL)),
    CHECK ((role IN ('auditor', 'operator')) = (person IS NOT NULL))
);
CREATE INDEX api_keys_number ON api_keys (number);
COMMENT ON COLUMN api_keys.person IS 'Who holds an operator''s or auditor''s key; a key made with a person''s key is the same person''s (rule 27).';

-- Answers by idempotency key, kept for ever. status is null while the command runs, and after a crash until it is sent again:
-- then it runs under the same command_id, which the log carries out once.
CREATE TABLE idempotency (
    owner text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),
    command_id text NOT NULL,
    status smallint,
    headers jsonb,
    body bytea,
    PRIMARY KEY (owner, key)
);
