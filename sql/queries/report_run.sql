-- report: the run itself.
-- $1 run.
SELECT run_id, label, command_line, version, host, started_at, ended_at, created_at AS updated_at,
       state, exit_reason, exit_code, detail,
       coalesce(lost_memory_metrics, 0) + coalesce(lost_heap_classes, 0)
           + coalesce(lost_allocation_intervals, 0) + coalesce(lost_allocation_sites, 0)
           + coalesce(lost_gc_events, 0) + coalesce(lost_suspects, 0) + coalesce(lost_events, 0)
           AS lost_rows, coalesce(rows_parked, 0) AS rows_parked
FROM runs
WHERE run_id = $1;
