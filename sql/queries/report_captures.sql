-- report: the captures, oldest first; of each bucket the one that stalled its target longest.
-- $1 run, $4 buckets.
WITH tiles AS (
    SELECT s.*, ntile(CAST($4 AS INTEGER)) OVER (ORDER BY created_at, snapshot_id) AS tile,
           count(*) OVER () AS total
    FROM heap_snapshots s
    WHERE run_id = $1
), ranked AS (
    SELECT tiles.*, row_number() OVER (PARTITION BY tile ORDER BY coalesce(pause_ms, -1) DESC,
                                       snapshot_id) AS place
    FROM tiles
)
SELECT snapshot_id, target_id, created_at AS at, kind, state, trigger, pause_ms, duration_ms,
       forecast_pause_ms, bytes, node_count, heap_used, rss_peak - rss_before AS extra_memory,
       epoch, guard, reason, file, total
FROM ranked
WHERE place = 1
ORDER BY created_at, snapshot_id;
