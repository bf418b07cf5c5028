-- report: the allocating lines of each target whose live bytes grew most in the live profile,
-- reading by reading. A site has a row when its bytes have changed, so a figure stands until the
-- next one.
-- $1 run, $4 points of a site.
WITH figures AS (
    SELECT target_id, reading, min(created_at) AS at, coalesce(function, '') AS function,
           coalesce(url, '') AS url, coalesce(line_number, 0) AS line_number,
           coalesce(column_number, 0) AS column_number, sum(live_bytes) AS live_bytes
    FROM allocation_sites
    WHERE run_id = $1 AND source = 'live-profile'
    GROUP BY 1, 2, 4, 5, 6, 7
), ordered AS (
    SELECT figures.*, min(reading) OVER (PARTITION BY target_id) AS base,
           max(reading) OVER (PARTITION BY target_id) + 1 AS readings,
           row_number() OVER (PARTITION BY target_id, function, url, line_number, column_number
                              ORDER BY reading) AS up,
           row_number() OVER (PARTITION BY target_id, function, url, line_number, column_number
                              ORDER BY reading DESC) AS down
    FROM figures
), growths AS (
    SELECT ordered.*,
           sum(CASE WHEN down = 1 THEN live_bytes ELSE 0 END) OVER site
               - sum(CASE WHEN up = 1 AND reading = base THEN live_bytes ELSE 0 END) OVER site
               AS growth,
           row_number() OVER (PARTITION BY target_id, function, url, line_number, column_number,
                              reading * $4 / readings ORDER BY reading DESC) AS place
    FROM ordered
    WINDOW site AS (PARTITION BY target_id, function, url, line_number, column_number)
), ranked AS (
    SELECT growths.*, dense_rank() OVER (PARTITION BY target_id ORDER BY growth DESC, function, url,
                                         line_number, column_number) AS by_growth
    FROM growths
)
SELECT target_id, function, url, line_number, column_number, reading, at, live_bytes
FROM ranked
WHERE place = 1 AND by_growth <= 6
ORDER BY target_id, function, url, line_number, column_number, reading;
