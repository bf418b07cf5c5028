-- diagnose: the memory limits of the targets' control groups.
-- $1 run, $4 at most so many.
SELECT target_id, detail
FROM events
WHERE run_id = $1 AND kind = 'memory-limit'
ORDER BY seq
LIMIT $4;
