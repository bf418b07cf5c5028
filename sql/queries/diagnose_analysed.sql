-- diagnose: how many snapshots of each target were analysed.
-- $1 run, $4 at most so many rows.
SELECT s.target_id, max(c.ordinal) + 1 AS analysed
FROM heap_classes c
JOIN heap_snapshots s ON s.run_id = c.run_id AND s.snapshot_id = c.snapshot_id
WHERE c.run_id = $1
GROUP BY s.target_id
LIMIT $4;
