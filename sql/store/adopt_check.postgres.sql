-- What keeps a memory_metrics of somebody else from taking our rows, one line a problem.
WITH wanted (name, types) AS (VALUES
    ('run_id', '{uuid}'), ('seq', '{int8}'), ('target_id', '{int4,int8}'),
    ('created_at', '{timestamptz,timestamp}'), ('label', '{text,varchar}'),
    ('heap_used', '{float8,numeric}'), ('heap_total', '{float8,numeric}'),
    ('external', '{float8,numeric}'), ('array_buffers', '{float8,numeric}'),
    ('rss', '{float8,numeric}'), ('heap_limit', '{float8,numeric}'),
    ('request_method', '{text,varchar}'), ('request_url', '{text,varchar}'),
    ('request_id', '{int8}'), ('route', '{text,varchar}'), ('in_flight', '{int4,int8}'),
    ('duration_ms', '{float8,numeric}'), ('status', '{int4,int8}'), ('gc_count', '{int8}'),
    ('gc_ms', '{float8,numeric}'), ('loop_delay_ms', '{float8,numeric}'),
    ('loop_delay_max_ms', '{float8,numeric}'), ('loop_utilization', '{float8,numeric}'),
    ('heap_spaces', '{text,varchar}')
), present AS (
    SELECT CAST(a.attname AS text) AS name, CAST(t.typname AS text) AS type, a.attnotnull,
           a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '' AS filled
    FROM pg_attribute a
    JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = to_regclass('memory_metrics') AND a.attnum > 0 AND NOT a.attisdropped
)
SELECT 'column ' || p.name || ' is ' || p.type || ', not ' || (CAST(w.types AS text[]))[1]
FROM present p
JOIN wanted w ON w.name = p.name
WHERE p.type <> ALL (CAST(w.types AS text[]))
UNION ALL
SELECT 'column ' || p.name || ' must not be null and has no default'
FROM present p
WHERE p.attnotnull AND NOT p.filled AND p.name NOT IN ('run_id', 'seq', 'created_at')
  AND NOT EXISTS (SELECT 1 FROM wanted w WHERE w.name = p.name
                  AND p.name IN ('label', 'heap_used', 'heap_total'))
ORDER BY 1;
