-- The last hour minute by minute.
SELECT DATE_TRUNC('minute', created_at) AS minute,
       AVG(heap_used) AS avg_heap_used, AVG(rss) AS avg_rss, COUNT(*) AS request_count
FROM memory_metrics
WHERE created_at > NOW() - INTERVAL '1 hour'
GROUP BY minute
ORDER BY minute DESC;
