-- Which site's live bytes grow from one timeline to the next: a row for each site and each pair of
-- timelines that follow one another on a target. A site that one of them does not have held nothing.
-- Timelines without stacks have no sites and are passed over.
CREATE VIEW site_growth AS
WITH timelines AS (
    SELECT run_id, coalesce(target_id, 0) AS target_id, snapshot_id, min(created_at) AS created_at,
           lag(snapshot_id) OVER (PARTITION BY run_id, coalesce(target_id, 0)
                                  ORDER BY snapshot_id) AS old_snapshot_id
    FROM allocation_sites
    WHERE source = 'timeline'
    GROUP BY run_id, coalesce(target_id, 0), snapshot_id
)
SELECT t.run_id, t.target_id, t.old_snapshot_id, t.snapshot_id AS new_snapshot_id, t.created_at,
       s.function, s.url, s.line_number, s.column_number,
       CAST(sum(CASE WHEN s.snapshot_id = t.old_snapshot_id THEN s.live_bytes ELSE 0 END) AS BIGINT)
           AS old_live_bytes,
       CAST(sum(CASE WHEN s.snapshot_id = t.snapshot_id THEN s.live_bytes ELSE 0 END) AS BIGINT)
           AS new_live_bytes,
       CAST(sum(CASE WHEN s.snapshot_id = t.snapshot_id THEN s.live_bytes ELSE -s.live_bytes END)
            AS BIGINT) AS growth_bytes,
       CAST(sum(CASE WHEN s.snapshot_id = t.snapshot_id THEN s.live_count ELSE -s.live_count END)
            AS BIGINT) AS growth_count
FROM timelines t
JOIN allocation_sites s ON s.run_id = t.run_id AND coalesce(s.target_id, 0) = t.target_id
    AND s.source = 'timeline' AND s.snapshot_id IN (t.old_snapshot_id, t.snapshot_id)
WHERE t.old_snapshot_id IS NOT NULL
GROUP BY t.run_id, t.target_id, t.old_snapshot_id, t.snapshot_id, t.created_at,
         s.function, s.url, s.line_number, s.column_number;
