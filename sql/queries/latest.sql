-- The latest hundred readings.
SELECT created_at, label, heap_used, rss, request_method, request_url
FROM memory_metrics
ORDER BY created_at DESC
LIMIT 100;
