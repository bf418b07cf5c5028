-- URLs whose highest heap after a request of the last hour is above the highest before one. It shows
-- where memory was used, not what leaks: much of the growth is garbage that a GC takes back.
WITH before_after AS (
    SELECT request_url,
           MAX(CASE WHEN label LIKE 'before-%' THEN heap_used END) AS before_heap,
           MAX(CASE WHEN label LIKE 'after-%' THEN heap_used END) AS after_heap
    FROM memory_metrics
    WHERE created_at > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 hour') AND request_url IS NOT NULL
    GROUP BY request_url
)
SELECT request_url, before_heap, after_heap, after_heap - before_heap AS memory_growth
FROM before_after
WHERE after_heap > before_heap
ORDER BY memory_growth DESC;
