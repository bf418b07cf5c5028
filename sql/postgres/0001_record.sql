-- The record as PostgreSQL keeps it: the tables of sqlite/0001_record.sql in PostgreSQL's types, and
-- ship_log. Names are unqualified: they go into the first schema of the search_path.
--
-- memory_metrics has no unique key, so that it may be partitioned or distributed; that every row is
-- there once follows from ship_log, whose primary key lets a batch in only once.

CREATE TABLE heaptap_migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE run_states (
    run_id                    uuid NOT NULL,
    seq                       bigint NOT NULL,
    created_at                timestamptz NOT NULL,
    label                     text,
    command_line              text,
    version                   text,
    destination               text,
    started_at                timestamptz,
    ended_at                  timestamptz,
    state                     text,
    exit_reason               text,
    exit_code                 bigint,
    detail                    text,
    host                      text,
    owner_boot_id             text,
    owner_pid                 bigint,
    owner_start               bigint,
    lost_memory_metrics       bigint,
    lost_heap_classes         bigint,
    lost_allocation_intervals bigint,
    lost_allocation_sites     bigint,
    lost_gc_events            bigint,
    lost_suspects             bigint,
    lost_events               bigint,
    rows_parked               bigint
);
CREATE INDEX run_states_seq ON run_states (run_id, seq);

CREATE TABLE target_states (
    run_id           uuid NOT NULL,
    seq              bigint NOT NULL,
    target_id        integer NOT NULL,
    created_at       timestamptz NOT NULL,
    kind             text,
    address          text,
    title            text,
    url              text,
    inspector_id     text,
    parent_target_id integer,
    pid              bigint,
    runtime          text,
    runtime_version  text,
    v8_version       text,
    arch             text,
    started_at       timestamptz,
    heap_limit       bigint,
    gone_at          timestamptz,
    state            text,
    reason           text
);
CREATE INDEX target_states_seq ON target_states (run_id, seq);
CREATE INDEX target_states_target ON target_states (run_id, target_id, seq);

CREATE TABLE heap_snapshot_states (
    run_id            uuid NOT NULL,
    seq               bigint NOT NULL,
    snapshot_id       integer NOT NULL,
    target_id         integer,
    created_at        timestamptz NOT NULL,
    kind              text,
    file              text,
    bytes             bigint,
    sha256            text,
    node_count        bigint,
    edge_count        bigint,
    string_count      bigint,
    pause_ms          double precision,
    duration_ms       double precision,
    heap_used         bigint,
    rss_before        bigint,
    rss_peak          bigint,
    trigger           text,
    request_id        bigint,
    epoch             bigint,
    state             text,
    reason            text,
    guard             text,
    forecast_by       text,
    forecast_pause_ms double precision,
    forecast_memory   bigint,
    forecast_nodes    bigint
);
CREATE INDEX heap_snapshot_states_seq ON heap_snapshot_states (run_id, seq);
CREATE INDEX heap_snapshot_states_snapshot ON heap_snapshot_states (run_id, snapshot_id, seq);

-- Memory in MB (1 MB = 1048576 bytes). It is there already when a table of somebody else was adopted.
CREATE TABLE IF NOT EXISTS memory_metrics (
    run_id            uuid NOT NULL,
    seq               bigint NOT NULL,
    target_id         integer,
    created_at        timestamptz NOT NULL,
    label             text,
    heap_used         double precision,
    heap_total        double precision,
    external          double precision,
    array_buffers     double precision,
    rss               double precision,
    heap_limit        double precision,
    request_method    text,
    request_url       text,
    request_id        bigint,
    route             text,
    in_flight         bigint,
    duration_ms       double precision,
    status            bigint,
    gc_count          bigint,
    gc_ms             double precision,
    loop_delay_ms     double precision,
    loop_delay_max_ms double precision,
    loop_utilization  double precision,
    heap_spaces       text
);
CREATE INDEX IF NOT EXISTS memory_metrics_created_at ON memory_metrics (created_at);
CREATE INDEX IF NOT EXISTS memory_metrics_label ON memory_metrics (label);
CREATE INDEX IF NOT EXISTS memory_metrics_seq ON memory_metrics (run_id, seq);
CREATE INDEX IF NOT EXISTS memory_metrics_request ON memory_metrics (request_id, run_id)
    WHERE request_id IS NOT NULL;

CREATE TABLE heap_classes (
    run_id        uuid NOT NULL,
    seq           bigint NOT NULL,
    snapshot_id   integer NOT NULL,
    ordinal       bigint,
    created_at    timestamptz NOT NULL,
    key           text,
    class         text,
    count         bigint,
    self_size     bigint,
    retained_size bigint
);
CREATE INDEX heap_classes_seq ON heap_classes (run_id, seq);
CREATE INDEX heap_classes_snapshot ON heap_classes (run_id, snapshot_id);

CREATE TABLE allocation_intervals (
    run_id         uuid NOT NULL,
    seq            bigint NOT NULL,
    target_id      integer,
    snapshot_id    integer,
    created_at     timestamptz NOT NULL,
    start_ms       double precision,
    live_count     bigint,
    live_bytes     bigint,
    last_object_id bigint
);
CREATE INDEX allocation_intervals_seq ON allocation_intervals (run_id, seq);

CREATE TABLE allocation_sites (
    run_id        uuid NOT NULL,
    seq           bigint NOT NULL,
    target_id     integer,
    snapshot_id   integer,
    created_at    timestamptz NOT NULL,
    source        text,
    reading       bigint,
    function      text,
    url           text,
    line_number   bigint,
    column_number bigint,
    live_count    bigint,
    live_bytes    bigint,
    count         bigint,
    bytes         bigint,
    stack         text
);
CREATE INDEX allocation_sites_seq ON allocation_sites (run_id, seq);

CREATE TABLE gc_events (
    run_id      uuid NOT NULL,
    seq         bigint NOT NULL,
    target_id   integer,
    created_at  timestamptz NOT NULL,
    kind        text,
    reason      text,
    duration_ms double precision,
    heap_before bigint,
    heap_after  bigint
);
CREATE INDEX gc_events_seq ON gc_events (run_id, seq);

CREATE TABLE suspects (
    run_id            uuid NOT NULL,
    seq               bigint NOT NULL,
    target_id         integer,
    created_at        timestamptz NOT NULL,
    rank              bigint,
    verdict           text,
    class             text,
    function          text,
    holder            text,
    culprit           text,
    url               text,
    line_number       bigint,
    column_number     bigint,
    count_growth      bigint,
    retained_growth   bigint,
    share_of_growth   double precision,
    method            text,
    route             text,
    bytes_per_request double precision,
    confidence        double precision,
    detail            text
);
CREATE INDEX suspects_seq ON suspects (run_id, seq);

CREATE TABLE events (
    run_id      uuid NOT NULL,
    seq         bigint NOT NULL,
    target_id   integer,
    snapshot_id integer,
    created_at  timestamptz NOT NULL,
    kind        text,
    text        text,
    detail      text
);
CREATE INDEX events_seq ON events (run_id, seq);


-- What arrived: a batch and its row here are one transaction, so a batch that is sent again is seen.
CREATE TABLE ship_log (
    run_id     uuid NOT NULL,
    table_name text NOT NULL,
    first_seq  bigint NOT NULL,
    last_seq   bigint NOT NULL,
    row_count  bigint NOT NULL,
    shipped_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, table_name, first_seq)
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
       greatest(coalesce(a.in_flight, 0), coalesce(b.in_flight, 0)) AS in_flight,
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
SELECT run_id, target_id, date_trunc('minute', created_at) AS minute,
       avg(heap_used) AS avg_heap_used, min(heap_used) AS min_heap_used,
       max(heap_used) AS max_heap_used, avg(external) AS avg_external, avg(rss) AS avg_rss,
       max(rss) AS max_rss,
       min(CASE WHEN label = 'after-gc' THEN heap_used END) AS floor_heap_used,
       count(*) AS samples
FROM memory_metrics
WHERE request_url IS NULL
GROUP BY run_id, target_id, date_trunc('minute', created_at);
