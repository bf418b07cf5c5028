-- Before against after, on average over the last hour, label by label.
SELECT label, AVG(heap_used) AS avg_heap_used, AVG(rss) AS avg_rss, COUNT(*) AS count
FROM memory_metrics
WHERE created_at > NOW() - INTERVAL '1 hour'
GROUP BY label
ORDER BY avg_heap_used DESC;
