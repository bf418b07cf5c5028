-- report: the newest events, oldest first. Floors are readings, and what a diagnosis rests on stands
-- in it: both are left out.
-- $1 run, $4 at most so many.
SELECT at, target_id, snapshot_id, kind, text, total
FROM (
    SELECT created_at AS at, seq, target_id, snapshot_id, kind, text, count(*) OVER () AS total
    FROM events
    WHERE run_id = $1 AND kind NOT IN ('floor', 'cited')
    ORDER BY created_at DESC, seq DESC
    LIMIT $4
) newest
ORDER BY at, seq;
