-- The last hour minute by minute.
SELECT substr(created_at, 1, 16) || ':00Z' AS minute,
       AVG(heap_used) AS avg_heap_used, AVG(rss) AS avg_rss, COUNT(*) AS request_count
FROM memory_metrics
WHERE created_at > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 hour')
GROUP BY minute
ORDER BY minute DESC;
