-- diagnose: the newest readings of a run, target by target, oldest first. What requests measured is
-- left out: it is mostly garbage.
-- $1 run, $4 at most so many.
SELECT target_id, created_at, label, heap_used, heap_total, external, rss, gc_count,
       loop_utilization, heap_limit
FROM (
    SELECT target_id, created_at, label, heap_used, heap_total, external, rss, gc_count,
           loop_utilization, heap_limit, seq
    FROM memory_metrics
    WHERE run_id = $1 AND label IN ('interval', 'after-gc', 'before-snapshot', 'after-snapshot')
    ORDER BY seq DESC
    LIMIT $4
) newest
ORDER BY target_id, created_at, seq;
