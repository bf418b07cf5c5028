-- Captures without an end of runs that have ended.
SELECT s.run_id, s.snapshot_id FROM heap_snapshots s JOIN runs r ON r.run_id = s.run_id
WHERE s.state = 'running' AND r.ended_at IS NOT NULL;
