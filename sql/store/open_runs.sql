-- Runs that nobody closed, with who owns them and when they last wrote.
SELECT run_id, label, host, owner_boot_id, owner_pid, owner_start, last_at,
       CAST(round((julianday(last_at) - 2440587.5) * 86400000) AS INTEGER) AS last_ms, metrics_rows
FROM (SELECT r.*,
             max(r.created_at, coalesce((SELECT m.created_at FROM memory_metrics m
                 WHERE m.run_id = r.run_id ORDER BY m.seq DESC LIMIT 1), '')) AS last_at,
             (SELECT count(*) FROM memory_metrics m WHERE m.run_id = r.run_id) AS metrics_rows
      FROM runs r
      WHERE r.ended_at IS NULL);
