-- report: captures by target, kind and state, with the stalls that they cost.
-- $1 run.
SELECT target_id, kind, state, count(*) AS captures, sum(pause_ms) AS pause_ms,
       max(pause_ms) AS max_pause_ms
FROM heap_snapshots
WHERE run_id = $1
GROUP BY target_id, kind, state
ORDER BY target_id, kind, state;
