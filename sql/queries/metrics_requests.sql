-- metrics requests: what each route's requests measured. The differences are mostly garbage that a
-- GC takes back; those of requests that had the server for themselves mislead least. Not every request
-- is recorded: how many there were stands in the floors (metrics_floors.sql).
-- $1 run (NULL: all), $2 route (NULL: all), $3 not older than, $4 at most so many rows.
SELECT request_method, route, count(*) AS recorded,
       sum(CASE WHEN in_flight <= 1 THEN 1 ELSE 0 END) AS requests_alone,
       avg(heap_delta) AS avg_heap_delta,
       avg(CASE WHEN in_flight <= 1 THEN heap_delta END) AS avg_heap_delta_alone,
       max(heap_delta) AS max_heap_delta, avg(rss_delta) AS avg_rss_delta,
       avg(duration_ms) AS avg_duration_ms
FROM request_memory
WHERE ($1 IS NULL OR run_id = $1) AND ($2 IS NULL OR route = $2)
  AND ($3 IS NULL OR began_at >= $3)
GROUP BY request_method, route
ORDER BY sum(heap_delta) DESC
LIMIT $4;
