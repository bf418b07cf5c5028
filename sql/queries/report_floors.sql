-- report: what was left right after full collections (of readings of the live profile, of forced
-- ones and of those that a snapshot begins with) of the 100 newest targets, oldest first, in bytes.
-- $1 run, $4 buckets of a target and label.
WITH newest AS (
    SELECT target_id FROM targets WHERE run_id = $1 ORDER BY target_id DESC LIMIT 100
), tiles AS (
    SELECT target_id, label, created_at, heap_used,
           ntile(CAST($4 AS INTEGER)) OVER (PARTITION BY target_id, label
                                            ORDER BY created_at, seq) AS tile
    FROM memory_metrics
    WHERE run_id = $1 AND label IN ('after-gc', 'after-snapshot')
      AND target_id IN (SELECT target_id FROM newest)
)
SELECT target_id, label, min(created_at) AS at,
       CAST(round(avg(heap_used) * 1048576) AS BIGINT) AS heap_used
FROM tiles
GROUP BY target_id, label, tile
ORDER BY target_id, at;
