-- diagnose: how many requests were in flight, second by second.
-- $1 run, $4 at most so many.
SELECT target_id, substr(created_at, 1, 19) || '.000Z' AS second, avg(in_flight) AS in_flight
FROM memory_metrics
WHERE run_id = $1 AND in_flight IS NOT NULL
GROUP BY 1, 2
ORDER BY 1, 2
LIMIT $4;
