-- metrics sites: which allocating lines hold more and more live bytes: their slope in bytes an hour
-- (least squares) with its 95 % interval. A live profile has a row of a site only when its bytes have
-- changed, so its last row stands until the next one; a reading is where any site has a row. What was
-- before a break of the series is left out.
-- $1 run (NULL: all), $2 source (NULL: all), $3 not older than, $4 at most so many rows.
WITH breaks AS (
    SELECT run_id, target_id, max(created_at) AS at
    FROM events WHERE kind = 'live-profile-broken' GROUP BY run_id, target_id
), figures AS (
    SELECT s.run_id, s.target_id, s.source, s.created_at AS at, s.function,
           coalesce(s.url, '') AS url, coalesce(s.line_number, 0) AS line_number,
           coalesce(s.column_number, 0) AS column_number,
           CAST(sum(s.live_bytes) AS DOUBLE PRECISION) AS live
    FROM allocation_sites s
    LEFT JOIN breaks b ON b.run_id = s.run_id AND b.target_id = s.target_id
    WHERE ($1 IS NULL OR s.run_id = $1) AND ($2 IS NULL OR s.source = $2)
      AND ($3 IS NULL OR s.created_at >= $3)
      AND (b.at IS NULL OR s.source <> 'live-profile' OR s.created_at > b.at)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
), readings AS (
    SELECT DISTINCT run_id, target_id, source, at FROM figures
), sites AS (
    SELECT DISTINCT run_id, target_id, source, function, url, line_number, column_number
    FROM figures
), steps AS (
    SELECT s.run_id, s.target_id, s.source, s.function, s.url, s.line_number, s.column_number,
           r.at, f.live, count(f.live) OVER (PARTITION BY s.run_id, s.target_id, s.source,
               s.function, s.url, s.line_number, s.column_number ORDER BY r.at) AS step
    FROM sites s
    JOIN readings r ON r.run_id = s.run_id AND r.target_id = s.target_id AND r.source = s.source
    LEFT JOIN figures f ON f.run_id = s.run_id AND f.target_id = s.target_id
        AND f.source = s.source AND f.function = s.function AND f.url = s.url
        AND f.line_number = s.line_number AND f.column_number = s.column_number AND f.at = r.at
), points AS (
    SELECT run_id, target_id, source, function, url, line_number, column_number,
           CAST(extract(epoch FROM at) AS DOUBLE PRECISION) / 3600 AS x,
           CASE WHEN source = 'live-profile' THEN coalesce(max(live) OVER (
                    PARTITION BY run_id, target_id, source, function, url, line_number,
                    column_number, step), 0)
                ELSE coalesce(live, 0) END AS y
    FROM steps
), means AS (
    SELECT points.*,
           avg(x) OVER site AS mean_x, avg(y) OVER site AS mean_y,
           row_number() OVER (site ORDER BY x) AS up, row_number() OVER (site ORDER BY x DESC) AS down
    FROM points
    WINDOW site AS (PARTITION BY run_id, target_id, source, function, url, line_number,
                    column_number)
), sums AS (
    SELECT run_id, target_id, source, function, url, line_number, column_number,
           count(*) AS readings, count(*) - 2 AS freedom,
           sum(CASE WHEN up = 1 THEN y ELSE 0 END) AS first_bytes,
           sum(CASE WHEN down = 1 THEN y ELSE 0 END) AS last_bytes,
           sum((x - mean_x) * (x - mean_x)) AS xx, sum((x - mean_x) * (y - mean_y)) AS xy,
           sum((y - mean_y) * (y - mean_y)) AS yy
    FROM means
    GROUP BY 1, 2, 3, 4, 5, 6, 7
), slopes AS (
    SELECT sums.*, CASE WHEN readings > 1 AND xx > 0 THEN xy / xx END AS slope,
           CASE WHEN freedom > 0 AND xx > 0
                THEN sqrt((CASE WHEN yy > xy * xy / xx THEN yy - xy * xy / xx ELSE 0 END) / freedom / xx)
                -- Student's quantile for 97.5 %, by its expansion around the normal one
                * CASE freedom WHEN 1 THEN 12.706 WHEN 2 THEN 4.303
                       ELSE 1.960 + (2.372 + (2.822 + 2.556 / freedom) / freedom) / freedom END
           END AS margin
    FROM sums
)
SELECT function, nullif(url, '') AS url, nullif(line_number, 0) AS line_number,
       nullif(column_number, 0) AS column_number, target_id, source,
       CAST(first_bytes AS BIGINT) AS first_bytes, CAST(last_bytes AS BIGINT) AS last_bytes,
       CAST(last_bytes - first_bytes AS BIGINT) AS growth_bytes,
       CAST(slope AS BIGINT) AS bytes_per_hour, CAST(slope - margin AS BIGINT) AS low,
       CAST(slope + margin AS BIGINT) AS high, readings
FROM slopes
ORDER BY slope DESC NULLS LAST, last_bytes DESC, function
LIMIT $4;
