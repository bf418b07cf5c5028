-- report: the suspects of the run's last diagnosis as they were stored then.
-- $1 run, $4 at most so many.
SELECT created_at AS at, rank, verdict, detail
FROM suspects s
WHERE run_id = $1
  AND created_at = (SELECT max(created_at) FROM suspects m WHERE m.run_id = s.run_id)
ORDER BY rank
LIMIT $4;
