-- First and last figure of each class of a run. heap_classes holds a row when a class changed, so its
-- last row is what the last snapshot said; a class that came later began with nothing. Rows of one
-- target are written in the order of its snapshots, so the smallest seq and the largest are the first
-- and the last: two look-ups a class in place of windows over all rows.
CREATE OR REPLACE VIEW class_growth AS
WITH owners AS (
    SELECT run_id, snapshot_id, max(target_id) AS target_id
    FROM heap_snapshot_states
    GROUP BY run_id, snapshot_id
), ends AS (
    SELECT c.run_id, o.target_id, c.key, min(c.ordinal) AS first_ordinal,
           min(c.seq) AS first_seq, max(c.seq) AS last_seq
    FROM heap_classes c
    LEFT JOIN owners o ON o.run_id = c.run_id AND o.snapshot_id = c.snapshot_id
    GROUP BY c.run_id, o.target_id, c.key
), based AS (
    SELECT e.*, first_ordinal = min(first_ordinal) OVER (PARTITION BY run_id, target_id) AS is_old
    FROM ends e
), figures AS (
    SELECT e.run_id, e.target_id, e.key, l.class, e.first_ordinal, l.ordinal AS last_ordinal,
           CASE WHEN e.is_old THEN f.count ELSE 0 END AS first_count,
           CASE WHEN e.is_old THEN f.self_size ELSE 0 END AS first_self,
           CASE WHEN e.is_old THEN f.retained_size ELSE 0 END AS first_retained,
           l.count AS last_count, l.self_size AS last_self, l.retained_size AS last_retained
    FROM based e
    JOIN heap_classes f ON f.run_id = e.run_id AND f.seq = e.first_seq
    JOIN heap_classes l ON l.run_id = e.run_id AND l.seq = e.last_seq
)
SELECT run_id, target_id, key, class, first_ordinal, last_ordinal,
       first_count, last_count, last_count - first_count AS count_growth,
       first_self, last_self, last_self - first_self AS self_growth,
       first_retained, last_retained, last_retained - first_retained AS retained_growth
FROM figures;
