-- Lists of operators and auditors run over everything, newest first: a page of them is read from its end.
CREATE INDEX contracts_created ON contracts (created_position);
CREATE INDEX payouts_created ON payouts (created_position);
