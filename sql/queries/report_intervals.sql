-- report: what was allocated in each interval of the eight newest timelines and still lived at the
-- end of it, in at most so many bars. The first interval is left out: it holds what was there before.
-- $1 run, $4 bars of a timeline.
WITH newest AS (
    SELECT s.snapshot_id, s.target_id, s.created_at
    FROM heap_snapshots s
    WHERE s.run_id = $1 AND EXISTS (SELECT 1 FROM allocation_intervals i
                                    WHERE i.run_id = s.run_id AND i.snapshot_id = s.snapshot_id)
    ORDER BY s.created_at DESC
    LIMIT 8
), ordered AS (
    SELECT i.snapshot_id, n.target_id, n.created_at, i.start_ms, i.live_count, i.live_bytes,
           i.last_object_id,
           row_number() OVER (PARTITION BY i.snapshot_id ORDER BY i.last_object_id, i.seq) AS place
    FROM allocation_intervals i
    JOIN newest n ON n.snapshot_id = i.snapshot_id
    WHERE i.run_id = $1
), tiles AS (
    SELECT ordered.*, ntile(CAST($4 AS INTEGER)) OVER (PARTITION BY snapshot_id
                                                       ORDER BY place) AS tile
    FROM ordered
    WHERE place > 1
)
SELECT snapshot_id, target_id, min(created_at) AS at, min(start_ms) AS start_ms,
       sum(live_count) AS live_count, sum(live_bytes) AS live_bytes
FROM tiles
GROUP BY snapshot_id, target_id, tile
ORDER BY snapshot_id, start_ms;
