-- Captures of a run that never came to an end.
SELECT snapshot_id FROM heap_snapshots WHERE run_id = ?1 AND state = 'running';
