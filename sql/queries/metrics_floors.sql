-- metrics requests, diagnose: the newest floors (what is left after a full collection) with the requests by
-- route that had ended by then, as JSON. heaptap tells from them what a request of each route keeps.
-- $1 run (NULL: all), $2 route (NULL: all; its floors are everybody's), $3 not older than, $4 at most
-- so many rows.
SELECT run_id, target_id, detail, created_at
FROM events
WHERE kind = 'floor' AND ($1 IS NULL OR run_id = $1) AND ($2 IS NULL OR $2 <> '')
  AND ($3 IS NULL OR created_at >= $3)
ORDER BY run_id, target_id, seq DESC
LIMIT $4;
