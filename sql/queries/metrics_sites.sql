-- metrics sites: which allocating lines hold more live bytes at the last reading than at the first.
-- $1 run (NULL: all), $2 source (NULL: all), $3 not older than, $4 at most so many rows.
WITH readings AS (
    SELECT run_id, target_id, source, reading, function, url, line_number, column_number,
           sum(live_bytes) AS live_bytes, sum(live_count) AS live_count
    FROM allocation_sites
    WHERE ($1 IS NULL OR run_id = $1) AND ($2 IS NULL OR source = $2)
      AND ($3 IS NULL OR created_at >= $3)
    GROUP BY run_id, target_id, source, reading, function, url, line_number, column_number
), ends AS (
    SELECT run_id, target_id, source, min(reading) AS first, max(reading) AS last
    FROM readings
    GROUP BY run_id, target_id, source
)
SELECT r.function, r.url, r.line_number, r.column_number, r.target_id, r.source,
       sum(CASE WHEN r.reading = e.first THEN r.live_bytes ELSE 0 END) AS first_bytes,
       sum(CASE WHEN r.reading = e.last THEN r.live_bytes ELSE 0 END) AS last_bytes,
       sum(CASE WHEN r.reading = e.last THEN r.live_bytes ELSE 0 END)
           - sum(CASE WHEN r.reading = e.first THEN r.live_bytes ELSE 0 END) AS growth_bytes,
       count(DISTINCT r.reading) AS readings
FROM readings r
JOIN ends e ON e.run_id = r.run_id AND e.target_id = r.target_id AND e.source = r.source
GROUP BY r.function, r.url, r.line_number, r.column_number, r.target_id, r.source
ORDER BY growth_bytes DESC, last_bytes DESC
LIMIT $4;
