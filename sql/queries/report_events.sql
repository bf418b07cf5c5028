-- report: the newest events, oldest first; floors are readings, and are left out.
-- $1 run, $4 at most so many.
SELECT at, target_id, snapshot_id, kind, text, total
FROM (
    SELECT created_at AS at, seq, target_id, snapshot_id, kind, text, count(*) OVER () AS total
    FROM events
    WHERE run_id = $1 AND kind <> 'floor'
    ORDER BY created_at DESC, seq DESC
    LIMIT $4
) newest
ORDER BY at, seq;
