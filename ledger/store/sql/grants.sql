-- What the application role may do: append, and keep what can be made anew. It cannot change or remove an event.
GRANT USAGE ON SCHEMA public TO {application};
GRANT SELECT, INSERT ON events, commands, identities TO {application};
GRANT SELECT, UPDATE ON log_head TO {application};
GRANT SELECT, INSERT ON vault TO {application};
GRANT SELECT ON migrations TO {application};
GRANT SELECT, INSERT, UPDATE ON test_clock, simulated_operations, api_keys, idempotency, own_writes TO {application};
GRANT DELETE ON idempotency TO {application};
GRANT SELECT, INSERT, UPDATE, DELETE
    ON projections, balances, statement_lines, contracts, payouts, deadlines, history TO {application};
