-- metrics latest: the newest readings.
-- $1 run (NULL: all), $2 label (NULL: all), $3 not older than (NULL: any age), $4 at most so many rows.
SELECT created_at, target_id, label, heap_used, heap_total, external, array_buffers, rss,
       request_method, request_url
FROM memory_metrics
WHERE ($1 IS NULL OR run_id = $1) AND ($2 IS NULL OR label = $2)
  AND ($3 IS NULL OR created_at >= $3)
ORDER BY created_at DESC, seq DESC
LIMIT $4;
