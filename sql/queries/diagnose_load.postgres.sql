-- diagnose: how many requests were in flight, second by second.
-- $1 run, $4 at most so many.
SELECT target_id, date_trunc('second', created_at) AS second,
       CAST(avg(in_flight) AS double precision) AS in_flight
FROM memory_metrics
WHERE run_id = $1 AND in_flight IS NOT NULL
GROUP BY 1, 2
ORDER BY 1, 2
LIMIT $4;
