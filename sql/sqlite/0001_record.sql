-- The record as SQLite keeps it. postgres/0001_record.sql says the same in PostgreSQL's words;
-- docs/database.md explains tables and columns.
--
-- Every table only grows. What has a state (runs, targets, heap_snapshots) is a view of the latest
-- row in its _states table, so that a shipper needs no right but INSERT.

CREATE TABLE run_states (
    run_id                    TEXT NOT NULL,
    seq                       INTEGER NOT NULL,
    created_at                TEXT NOT NULL,
    label                     TEXT,
    command_line              TEXT,
    version                   TEXT,
    destination               TEXT,
    started_at                TEXT,
    ended_at                  TEXT,
    state                     TEXT,
    exit_reason               TEXT,
    exit_code                 INTEGER,
    detail                    TEXT,
    host                      TEXT,
    owner_boot_id             TEXT,
    owner_pid                 INTEGER,
    owner_start               INTEGER,
    lost_memory_metrics       INTEGER,
    lost_heap_classes         INTEGER,
    lost_allocation_intervals INTEGER,
    lost_allocation_sites     INTEGER,
    lost_gc_events            INTEGER,
    lost_suspects             INTEGER,
    lost_events               INTEGER,
    rows_parked               INTEGER,
    PRIMARY KEY (run_id, seq)
);

CREATE TABLE target_states (
    run_id           TEXT NOT NULL,
    seq              INTEGER NOT NULL,
    target_id        INTEGER NOT NULL,
    created_at       TEXT NOT NULL,
    kind             TEXT,
    address          TEXT,
    title            TEXT,
    url              TEXT,
    inspector_id     TEXT,
    parent_target_id INTEGER,
    pid              INTEGER,
    runtime          TEXT,
    runtime_version  TEXT,
    v8_version       TEXT,
    arch             TEXT,
    started_at       TEXT,
    heap_limit       INTEGER,
    gone_at          TEXT,
    state            TEXT,
    reason           TEXT,
    PRIMARY KEY (run_id, seq)
);
CREATE INDEX target_states_target ON target_states (run_id, target_id, seq);

CREATE TABLE heap_snapshot_states (
    run_id            TEXT NOT NULL,
    seq               INTEGER NOT NULL,
    snapshot_id       INTEGER NOT NULL,
    target_id         INTEGER,
    created_at        TEXT NOT NULL,
    kind              TEXT,
    file              TEXT,
    bytes             INTEGER,
    sha256            TEXT,
    node_count        INTEGER,
    edge_count        INTEGER,
    string_count      INTEGER,
    pause_ms          REAL,
    duration_ms       REAL,
    heap_used         INTEGER,
    rss_before        INTEGER,
    rss_peak          INTEGER,
    trigger           TEXT,
    request_id        INTEGER,
    epoch             INTEGER,
    state             TEXT,
    reason            TEXT,
    guard             TEXT,
    forecast_by       TEXT,
    forecast_pause_ms REAL,
    forecast_memory   INTEGER,
    forecast_nodes    INTEGER,
    PRIMARY KEY (run_id, seq)
);
CREATE INDEX heap_snapshot_states_snapshot ON heap_snapshot_states (run_id, snapshot_id, seq);

-- Memory in MB (1 MB = 1048576 bytes).
CREATE TABLE memory_metrics (
    run_id            TEXT NOT NULL,
    seq               INTEGER NOT NULL,
    target_id         INTEGER,
    created_at        TEXT NOT NULL,
    label             TEXT,
    heap_used         REAL,
    heap_total        REAL,
    external          REAL,
    array_buffers     REAL,
    rss               REAL,
    heap_limit        REAL,
    request_method    TEXT,
    request_url       TEXT,
    request_id        INTEGER,
    route             TEXT,
    in_flight         INTEGER,
    duration_ms       REAL,
    status            INTEGER,
    gc_count          INTEGER,
    gc_ms             REAL,
    loop_delay_ms     REAL,
    loop_delay_max_ms REAL,
    loop_utilization  REAL,
    heap_spaces       TEXT,
    PRIMARY KEY (run_id, seq)
);
CREATE INDEX memory_metrics_created_at ON memory_metrics (created_at);
CREATE INDEX memory_metrics_label ON memory_metrics (label);
CREATE INDEX memory_metrics_request ON memory_metrics (request_id, run_id)
    WHERE request_id IS NOT NULL;

CREATE TABLE heap_classes (
    run_id        TEXT NOT NULL,
    seq           INTEGER NOT NULL,
    snapshot_id   INTEGER NOT NULL,
    ordinal       INTEGER,
    created_at    TEXT NOT NULL,
    key           TEXT,
    class         TEXT,
    count         INTEGER,
    self_size     INTEGER,
    retained_size INTEGER,
    PRIMARY KEY (run_id, seq)
);
CREATE INDEX heap_classes_snapshot ON heap_classes (run_id, snapshot_id);

CREATE TABLE allocation_intervals (
    run_id         TEXT NOT NULL,
    seq            INTEGER NOT NULL,
    target_id      INTEGER,
    snapshot_id    INTEGER,
    created_at     TEXT NOT NULL,
    start_ms       REAL,
    live_count     INTEGER,
    live_bytes     INTEGER,
    last_object_id INTEGER,
    PRIMARY KEY (run_id, seq)
);

CREATE TABLE allocation_sites (
    run_id        TEXT NOT NULL,
    seq           INTEGER NOT NULL,
    target_id     INTEGER,
    snapshot_id   INTEGER,
    created_at    TEXT NOT NULL,
    source        TEXT,
    reading       INTEGER,
    function      TEXT,
    url           TEXT,
    line_number   INTEGER,
    column_number INTEGER,
    live_count    INTEGER,
    live_bytes    INTEGER,
    count         INTEGER,
    bytes         INTEGER,
    stack         TEXT,
    PRIMARY KEY (run_id, seq)
);

CREATE TABLE gc_events (
    run_id      TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    target_id   INTEGER,
    created_at  TEXT NOT NULL,
    kind        TEXT,
    reason      TEXT,
    duration_ms REAL,
    heap_before INTEGER,
    heap_after  INTEGER,
    PRIMARY KEY (run_id, seq)
);

CREATE TABLE suspects (
    run_id            TEXT NOT NULL,
    seq               INTEGER NOT NULL,
    target_id         INTEGER,
    created_at        TEXT NOT NULL,
    rank              INTEGER,
    verdict           TEXT,
    class             TEXT,
    function          TEXT,
    holder            TEXT,
    culprit           TEXT,
    url               TEXT,
    line_number       INTEGER,
    column_number     INTEGER,
    count_growth      INTEGER,
    retained_growth   INTEGER,
    share_of_growth   REAL,
    method            TEXT,
    route             TEXT,
    bytes_per_request REAL,
    confidence        REAL,
    detail            TEXT,
    PRIMARY KEY (run_id, seq)
);

CREATE TABLE events (
    run_id      TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    target_id   INTEGER,
    snapshot_id INTEGER,
    created_at  TEXT NOT NULL,
    kind        TEXT,
    text        TEXT,
    detail      TEXT,
    PRIMARY KEY (run_id, seq)
);

CREATE VIEW runs AS
SELECT s.* FROM run_states s
WHERE s.seq = (SELECT max(m.seq) FROM run_states m WHERE m.run_id = s.run_id);

CREATE VIEW targets AS
SELECT s.* FROM target_states s
WHERE s.seq = (SELECT max(m.seq) FROM target_states m
               WHERE m.run_id = s.run_id AND m.target_id = s.target_id);

CREATE VIEW heap_snapshots AS
SELECT s.* FROM heap_snapshot_states s
WHERE s.seq = (SELECT max(m.seq) FROM heap_snapshot_states m
               WHERE m.run_id = s.run_id AND m.snapshot_id = s.snapshot_id);

-- One row a followed request: what was measured when it began and when it ended.
CREATE VIEW request_memory AS
SELECT b.run_id, b.target_id, b.request_id, b.request_method, b.request_url, b.route,
       b.created_at AS began_at, a.created_at AS ended_at, a.status, a.duration_ms,
       max(coalesce(a.in_flight, 0), coalesce(b.in_flight, 0)) AS in_flight,
       b.heap_used AS heap_before, a.heap_used AS heap_after, a.heap_used - b.heap_used AS heap_delta,
       b.external AS external_before, a.external AS external_after,
       b.rss AS rss_before, a.rss AS rss_after, a.rss - b.rss AS rss_delta
FROM memory_metrics b
JOIN memory_metrics a ON a.run_id = b.run_id AND a.request_id = b.request_id
    AND coalesce(a.target_id, 0) = coalesce(b.target_id, 0) AND a.label LIKE 'after-%'
WHERE b.request_id IS NOT NULL AND b.label LIKE 'before-%';

-- What each route's requests measured. Mostly garbage that a GC takes back: the floors after GC
-- tell what stays.
CREATE VIEW route_growth AS
SELECT run_id, target_id, request_method, route, count(*) AS requests,
       sum(CASE WHEN in_flight <= 1 THEN 1 ELSE 0 END) AS requests_alone,
       avg(heap_delta) AS avg_heap_delta, sum(heap_delta) AS sum_heap_delta,
       avg(CASE WHEN in_flight <= 1 THEN heap_delta END) AS avg_heap_delta_alone,
       avg(duration_ms) AS avg_duration_ms, min(began_at) AS first_at, max(ended_at) AS last_at
FROM request_memory
GROUP BY run_id, target_id, request_method, route;

-- First and last figure of each class of a run. heap_classes holds a row when a class changed, so
-- its last row is what the last snapshot said; a class that came later began with nothing.
CREATE VIEW class_growth AS
WITH ordered AS (
    SELECT c.*, s.target_id,
           row_number() OVER (PARTITION BY c.run_id, s.target_id, c.key ORDER BY c.ordinal) AS up,
           row_number() OVER (PARTITION BY c.run_id, s.target_id, c.key
                              ORDER BY c.ordinal DESC) AS down,
           min(c.ordinal) OVER (PARTITION BY c.run_id, s.target_id) AS base
    FROM heap_classes c
    LEFT JOIN heap_snapshots s ON s.run_id = c.run_id AND s.snapshot_id = c.snapshot_id
), ends AS (
    SELECT run_id, target_id, key, max(class) AS class,
           min(ordinal) AS first_ordinal, max(ordinal) AS last_ordinal,
           max(CASE WHEN up = 1 AND ordinal = base THEN count ELSE 0 END) AS first_count,
           max(CASE WHEN up = 1 AND ordinal = base THEN self_size ELSE 0 END) AS first_self,
           max(CASE WHEN up = 1 AND ordinal = base THEN retained_size ELSE 0 END) AS first_retained,
           max(CASE WHEN down = 1 THEN count END) AS last_count,
           max(CASE WHEN down = 1 THEN self_size END) AS last_self,
           max(CASE WHEN down = 1 THEN retained_size END) AS last_retained
    FROM ordered
    GROUP BY run_id, target_id, key
)
SELECT run_id, target_id, key, class, first_ordinal, last_ordinal,
       first_count, last_count, last_count - first_count AS count_growth,
       first_self, last_self, last_self - first_self AS self_growth,
       first_retained, last_retained, last_retained - first_retained AS retained_growth
FROM ends;

-- The sampled memory of each target by minute; request rows would only weigh it by traffic.
CREATE VIEW memory_trend AS
SELECT run_id, target_id, substr(created_at, 1, 16) || ':00.000Z' AS minute,
       avg(heap_used) AS avg_heap_used, min(heap_used) AS min_heap_used,
       max(heap_used) AS max_heap_used, avg(external) AS avg_external, avg(rss) AS avg_rss,
       max(rss) AS max_rss,
       min(CASE WHEN label = 'after-gc' THEN heap_used END) AS floor_heap_used,
       count(*) AS samples
FROM memory_metrics
WHERE request_url IS NULL
GROUP BY run_id, target_id, substr(created_at, 1, 16);
