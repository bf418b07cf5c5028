-- report: the classes of each target that grew most, snapshot by snapshot. heap_classes holds a row
-- when a class has changed, so a figure stands until the next one.
-- $1 run, $4 points of a class.
WITH snapshots AS MATERIALIZED (
    SELECT snapshot_id, target_id, created_at FROM heap_snapshots WHERE run_id = $1
), figures AS (
    SELECT s.target_id, c.key, c.class, c.ordinal, s.created_at AS at, c.count, c.retained_size,
           row_number() OVER (PARTITION BY s.target_id, c.key ORDER BY c.ordinal) AS up,
           row_number() OVER (PARTITION BY s.target_id, c.key ORDER BY c.ordinal DESC) AS down,
           min(c.ordinal) OVER (PARTITION BY s.target_id) AS base,
           max(c.ordinal) OVER (PARTITION BY s.target_id) + 1 AS ordinals
    FROM heap_classes c
    JOIN snapshots s ON s.snapshot_id = c.snapshot_id
    WHERE c.run_id = $1
), growths AS (
    SELECT figures.*,
           sum(CASE WHEN down = 1 THEN count ELSE 0 END) OVER class
               - sum(CASE WHEN up = 1 AND ordinal = base THEN count ELSE 0 END) OVER class
               AS count_growth,
           sum(CASE WHEN down = 1 THEN retained_size ELSE 0 END) OVER class
               - sum(CASE WHEN up = 1 AND ordinal = base THEN retained_size ELSE 0 END) OVER class
               AS retained_growth,
           row_number() OVER (PARTITION BY target_id, key, ordinal * $4 / ordinals
                              ORDER BY ordinal DESC) AS place
    FROM figures
    WINDOW class AS (PARTITION BY target_id, key)
), ranked AS (
    SELECT growths.*,
           dense_rank() OVER (PARTITION BY target_id ORDER BY retained_growth DESC, key) AS by_size,
           dense_rank() OVER (PARTITION BY target_id ORDER BY count_growth DESC, key) AS by_count
    FROM growths
)
SELECT target_id, key, class, ordinal, at, count, retained_size
FROM ranked
WHERE place = 1 AND ((by_size <= 10 AND retained_growth > 0) OR (by_count <= 6 AND count_growth > 0))
ORDER BY target_id, key, ordinal;
