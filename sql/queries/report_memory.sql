-- report: the readings of each of the 100 newest targets in at most so many buckets (a bucket of one
-- reading is that reading), oldest first. Sizes in bytes; gc_count and gc_ms count from the start.
-- $1 run, $4 buckets of a target.
WITH newest AS (
    SELECT target_id FROM targets WHERE run_id = $1 ORDER BY target_id DESC LIMIT 100
), tiles AS (
    SELECT target_id, created_at, heap_used, heap_total, external, array_buffers, rss, heap_limit,
           gc_count, gc_ms, loop_delay_max_ms,
           ntile(CAST($4 AS INTEGER)) OVER (PARTITION BY target_id ORDER BY created_at, seq) AS tile
    FROM memory_metrics
    WHERE run_id = $1 AND request_url IS NULL
      AND coalesce(label, '') NOT IN ('after-gc', 'after-snapshot')
      AND target_id IN (SELECT target_id FROM newest)
)
SELECT target_id, min(created_at) AS at,
       CAST(round(avg(heap_used) * 1048576) AS BIGINT) AS heap_used,
       CAST(round(max(heap_used) * 1048576) AS BIGINT) AS max_heap_used,
       CAST(round(avg(heap_total) * 1048576) AS BIGINT) AS heap_total,
       CAST(round(avg(external) * 1048576) AS BIGINT) AS external,
       CAST(round(avg(array_buffers) * 1048576) AS BIGINT) AS array_buffers,
       CAST(round(avg(rss) * 1048576) AS BIGINT) AS rss,
       CAST(round(max(heap_limit) * 1048576) AS BIGINT) AS heap_limit,
       max(gc_count) AS gc_count, max(gc_ms) AS gc_ms, max(loop_delay_max_ms) AS loop_delay_max_ms,
       count(*) AS readings
FROM tiles
GROUP BY target_id, tile
ORDER BY target_id, at;
