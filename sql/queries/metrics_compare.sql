-- metrics compare: the labels beside one another.
-- $1 run (NULL: all), $2 label (NULL: all), $3 not older than (NULL: any age), $4 at most so many rows.
SELECT label, avg(heap_used) AS avg_heap_used, max(heap_used) AS max_heap_used,
       avg(external) AS avg_external, avg(rss) AS avg_rss, count(*) AS count
FROM memory_metrics
WHERE ($1 IS NULL OR run_id = $1) AND ($2 IS NULL OR label = $2)
  AND ($3 IS NULL OR created_at >= $3)
GROUP BY label
ORDER BY avg_heap_used DESC
LIMIT $4;
