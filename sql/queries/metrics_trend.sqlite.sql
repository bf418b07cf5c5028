-- metrics trend: minute by minute and target by target, request rows left out unless a label asks
-- for them.
-- $1 run (NULL: all), $2 label (NULL: all), $3 not older than (NULL: any age), $4 at most so many rows.
SELECT minute, target_id, avg_heap_used, min_heap_used, max_heap_used, avg_external, avg_rss, samples
FROM (
    SELECT substr(created_at, 1, 16) || ':00.000Z' AS minute, target_id,
           avg(heap_used) AS avg_heap_used, min(heap_used) AS min_heap_used,
           max(heap_used) AS max_heap_used, avg(external) AS avg_external, avg(rss) AS avg_rss,
           count(*) AS samples
    FROM memory_metrics
    WHERE ($1 IS NULL OR run_id = $1)
      AND (($2 IS NULL AND request_url IS NULL) OR label = $2)
      AND ($3 IS NULL OR created_at >= $3)
    GROUP BY 1, 2
    ORDER BY 1 DESC, 2
    LIMIT $4
) newest
ORDER BY minute, target_id;
