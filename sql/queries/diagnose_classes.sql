-- diagnose: the counts of the classes that grew most, snapshot by snapshot. A class has a row when it
-- changed, so its last one stands until the next.
-- $1 run, $4 at most so many rows.
SELECT s.target_id, c.key, c.ordinal, c.count
FROM heap_classes c
JOIN heap_snapshots s ON s.run_id = c.run_id AND s.snapshot_id = c.snapshot_id
WHERE c.run_id = $1 AND c.key IN (
    SELECT key FROM class_growth
    WHERE run_id = $1 AND count_growth > 0
    ORDER BY retained_growth DESC
    LIMIT 100)
ORDER BY s.target_id, c.key, c.ordinal
LIMIT $4;
