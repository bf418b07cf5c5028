-- diagnose: the targets of a run; a process that was started again is another one.
-- $1 run, $4 at most so many.
SELECT target_id, kind, title, pid, parent_target_id, runtime, runtime_version, v8_version,
       heap_limit, state, url
FROM targets
WHERE run_id = $1
ORDER BY target_id
LIMIT $4;
