-- How far the last write of each owner of keys reached: their own reads wait for it, whichever process they are sent to.
CREATE TABLE own_writes (
    owner text PRIMARY KEY,
    position bigint NOT NULL
) WITH (fillfactor = 50);
