-- The latest complete snapshots of all runs, the newest first, with what their targets were.
SELECT s.run_id, s.snapshot_id, s.target_id,
       (SELECT r.ended_at IS NULL FROM run_states r
        WHERE r.run_id = s.run_id ORDER BY r.seq DESC LIMIT 1) AS run_is_open,
       EXISTS (SELECT 1 FROM events e
               WHERE e.run_id = s.run_id AND e.snapshot_id = s.snapshot_id
                 AND e.kind = 'cited') AS cited,
       s.file, s.bytes,
       CAST(round((julianday(s.created_at) - 2440587.5) * 86400000) AS INTEGER) AS taken_ms,
       t.title, t.runtime_version, s.node_count, s.heap_used, s.pause_ms, s.rss_before, s.rss_peak
FROM (SELECT * FROM heap_snapshot_states ORDER BY rowid DESC LIMIT ?1) s
LEFT JOIN target_states t
       ON t.run_id = s.run_id AND t.target_id = s.target_id
      AND t.seq = (SELECT min(m.seq) FROM target_states m
                   WHERE m.run_id = s.run_id AND m.target_id = s.target_id)
WHERE s.state = 'complete'
  AND s.seq = (SELECT max(m.seq) FROM heap_snapshot_states m
               WHERE m.run_id = s.run_id AND m.snapshot_id = s.snapshot_id)
ORDER BY s.created_at DESC
