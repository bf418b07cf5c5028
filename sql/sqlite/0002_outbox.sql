-- What the shipper remembers: how far it has come, batches that are on their way, and rows that
-- PostgreSQL refused.

-- Up to where rows were taken into batches. Rows behind it wait.
CREATE TABLE ship_cursors (
    run_id     TEXT NOT NULL,
    table_name TEXT NOT NULL,
    next_seq   INTEGER NOT NULL,
    PRIMARY KEY (run_id, table_name)
) WITHOUT ROWID;

-- The bounds of a batch are written here before it is sent, so that it is sent again with the same
-- bounds when nobody knows whether it arrived.
CREATE TABLE ship_batches (
    run_id     TEXT NOT NULL,
    table_name TEXT NOT NULL,
    first_seq  INTEGER NOT NULL,
    last_seq   INTEGER NOT NULL,
    PRIMARY KEY (run_id, table_name, first_seq)
) WITHOUT ROWID;

CREATE TABLE ship_parked (
    run_id     TEXT NOT NULL,
    table_name TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    parked_at  TEXT NOT NULL,
    reason     TEXT,
    PRIMARY KEY (run_id, table_name, seq)
) WITHOUT ROWID;

-- Which process ships a run whose owner is gone.
CREATE TABLE ship_claims (
    run_id        TEXT PRIMARY KEY,
    owner_boot_id TEXT,
    host          TEXT,
    owner_pid     INTEGER,
    owner_start   INTEGER,
    claimed_at    TEXT
) WITHOUT ROWID;
