-- db status: rows of each run that PostgreSQL does not have yet, by destination.
SELECT r.destination, w.run_id, sum(w.waiting) AS waiting
FROM (
    SELECT m.run_id, count(*) AS waiting FROM memory_metrics m
    WHERE m.seq >= coalesce((SELECT next_seq FROM ship_cursors c
        WHERE c.run_id = m.run_id AND c.table_name = 'memory_metrics'), 0)
    GROUP BY m.run_id
    UNION ALL
    SELECT b.run_id, sum(b.last_seq - b.first_seq + 1) FROM ship_batches b GROUP BY b.run_id
) w
JOIN runs r ON r.run_id = w.run_id
WHERE r.destination IS NOT NULL
GROUP BY r.destination, w.run_id
ORDER BY r.destination, w.run_id;
