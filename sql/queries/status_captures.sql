-- db status: what the guard foresaw and what came, capture by capture.
-- $1 run (NULL: all), $4 at most so many.
SELECT substr(CAST(run_id AS text), 1, 8) AS run, snapshot_id, run_id, target_id, state, trigger,
       forecast_by, forecast_pause_ms, pause_ms, forecast_memory, rss_peak - rss_before AS memory,
       heap_used, bytes, reason
FROM heap_snapshots
WHERE ($1 IS NULL OR run_id = $1)
ORDER BY created_at DESC, snapshot_id DESC
LIMIT $4;
