-- db status: the runs that began last. missing is what neither is there nor was counted as lost.
-- $4 at most so many.
SELECT run_id, label, state, started_at, ended_at, metrics_rows, lost_rows, rows_parked,
       coalesce(last_seq, 0) - metrics_rows - lost_metrics AS missing
FROM (
    SELECT r.run_id, r.label, r.state, r.started_at, r.ended_at,
           (SELECT count(*) FROM memory_metrics m WHERE m.run_id = r.run_id) AS metrics_rows,
           (SELECT max(m.seq) FROM memory_metrics m WHERE m.run_id = r.run_id) AS last_seq,
           coalesce(r.lost_memory_metrics, 0) AS lost_metrics,
           coalesce(r.lost_memory_metrics, 0) + coalesce(r.lost_heap_classes, 0)
               + coalesce(r.lost_allocation_intervals, 0) + coalesce(r.lost_allocation_sites, 0)
               + coalesce(r.lost_gc_events, 0) + coalesce(r.lost_suspects, 0)
               + coalesce(r.lost_events, 0) AS lost_rows,
           coalesce(r.rows_parked, 0) AS rows_parked
    FROM runs r
    ORDER BY r.started_at DESC
    LIMIT $4
) newest
ORDER BY started_at DESC;
