-- db status: how much there is.
SELECT 'runs' AS name, count(*) AS count FROM runs
UNION ALL SELECT 'targets', count(*) FROM targets
UNION ALL SELECT 'heap_snapshots', count(*) FROM heap_snapshots
UNION ALL SELECT 'memory_metrics', count(*) FROM memory_metrics
UNION ALL SELECT 'heap_classes', count(*) FROM heap_classes
UNION ALL SELECT 'allocation_intervals', count(*) FROM allocation_intervals
UNION ALL SELECT 'allocation_sites', count(*) FROM allocation_sites
UNION ALL SELECT 'gc_events', count(*) FROM gc_events
UNION ALL SELECT 'suspects', count(*) FROM suspects
UNION ALL SELECT 'events', count(*) FROM events;
