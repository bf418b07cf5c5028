-- diagnose: the snapshots and timelines of a run, oldest first.
-- $1 run, $4 at most so many.
SELECT snapshot_id, target_id, created_at, kind, file, epoch, state, reason, trigger
FROM heap_snapshots
WHERE run_id = $1
ORDER BY target_id, created_at, snapshot_id
LIMIT $4;
