-- The log. Column names are the eventsourcing library's: notification_id is the position, dense and total.
CREATE TABLE events (
    notification_id bigint PRIMARY KEY,
    originator_id text NOT NULL,
    originator_version bigint NOT NULL CHECK (originator_version > 0),
    topic text NOT NULL,
    state bytea NOT NULL,
    hash bytea NOT NULL CHECK (length(hash) = 32),
    UNIQUE (originator_id, originator_version)
);
COMMENT ON TABLE events IS 'Every event, for ever. hash chains each one to all before it.';

CREATE FUNCTION events_are_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed or removed: append an event that corrects them' USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER events_are_immutable BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION events_are_immutable();
CREATE TRIGGER events_are_never_truncated BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION events_are_immutable();

-- One row: the position and chain hash of the last event. Whoever appends holds it, so positions have no gaps and one order.
CREATE TABLE log_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    position bigint NOT NULL,
    hash bytea NOT NULL
);
INSERT INTO log_head (position, hash) VALUES (0, decode(repeat('00', 32), 'hex'));

-- The commands from outside that have been carried out: a retry finds its own here.
CREATE TABLE commands (
    command_id text PRIMARY KEY,
    position bigint NOT NULL
);

-- Names, e-mail addresses and free text (rule 28). Events carry the id and the SHA-256 of salt and text.
CREATE TABLE vault (
    id text PRIMARY KEY,
    owner text NOT NULL,
    salt bytea NOT NULL,
    text text NOT NULL
);
CREATE INDEX vault_owner ON vault (owner);

-- The id behind an e-mail address or an employer's name, from before there is an account.
CREATE TABLE identities (
    kind text NOT NULL,
    name text NOT NULL,
    id text NOT NULL UNIQUE,
    PRIMARY KEY (kind, name)
);

CREATE TABLE test_clock (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    now timestamptz NOT NULL
);

-- What the sandbox's payment processor remembers: it stands outside the ledger and keeps its own books.
CREATE TABLE simulated_operations (
    key text PRIMARY KEY,
    kind text NOT NULL,
    subject text NOT NULL,
    amount bigint NOT NULL,
    currency text NOT NULL,
    method text NOT NULL,
    outcome text NOT NULL,
    at timestamptz NOT NULL
);

-- How far each projection has come; error names the event it stopped at.
CREATE TABLE projections (
    name text PRIMARY KEY,
    position bigint NOT NULL DEFAULT 0,
    error text,
    error_position bigint
);

CREATE TABLE balances (
    account text NOT NULL,
    currency text NOT NULL,
    balance numeric NOT NULL,
    PRIMARY KEY (account, currency)
);
COMMENT ON TABLE balances IS 'Credits less debits of every account, in minor units.';

CREATE TABLE statement_lines (
    freelancer_id text NOT NULL,
    currency text NOT NULL,
    occurred_at timestamptz NOT NULL,
    position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    type text NOT NULL,
    subject text NOT NULL,
    pending_change bigint NOT NULL,
    available_change bigint NOT NULL,
    in_transit_change bigint NOT NULL,
    pending numeric NOT NULL,
    available numeric NOT NULL,
    in_transit numeric NOT NULL,
    PRIMARY KEY (freelancer_id, currency, occurred_at, position)
);
COMMENT ON TABLE statement_lines IS 'One line an event that moved a freelancer''s money, with the running balances after it.';

CREATE TABLE contracts (
    id text PRIMARY KEY,
    client_id text NOT NULL,
    freelancer_id text NOT NULL,
    status text NOT NULL,
    created_position bigint NOT NULL,
    state json NOT NULL
);
CREATE INDEX contracts_client ON contracts (client_id, created_position);
CREATE INDEX contracts_freelancer ON contracts (freelancer_id, created_position);

CREATE TABLE payouts (
    id text PRIMARY KEY,
    contract_id text NOT NULL,
    client_id text NOT NULL,
    freelancer_id text NOT NULL,
    payee text NOT NULL,
    status text NOT NULL,
    available_on timestamptz,
    created_position bigint NOT NULL,
    state json NOT NULL
);
CREATE INDEX payouts_contract ON payouts (contract_id, created_position);
CREATE INDEX payouts_client ON payouts (client_id, created_position);
CREATE INDEX payouts_freelancer ON payouts (freelancer_id, created_position);

CREATE TABLE deadlines (
    stream text NOT NULL,
    kind text NOT NULL,
    item text NOT NULL,
    at timestamptz NOT NULL,
    priority smallint NOT NULL,
    cause_id text NOT NULL,
    contract_id text,
    freelancer_id text,
    PRIMARY KEY (stream, kind, item)
);
CREATE INDEX deadlines_due ON deadlines (at, priority);
CREATE INDEX deadlines_contract ON deadlines (contract_id, at);
CREATE INDEX deadlines_freelancer ON deadlines (freelancer_id, at);

CREATE TABLE history (
    position bigint PRIMARY KEY,
    stream text NOT NULL,
    topic text NOT NULL,
    contract_id text,
    payout_id text,
    client_id text,
    freelancer_id text
);
CREATE INDEX history_contract ON history (contract_id, position) WHERE contract_id IS NOT NULL;
CREATE INDEX history_payout ON history (payout_id, position) WHERE payout_id IS NOT NULL;
CREATE INDEX history_client ON history (client_id, position) WHERE client_id IS NOT NULL;
CREATE INDEX history_freelancer ON history (freelancer_id, position) WHERE freelancer_id IS NOT NULL;
