-- diagnose: the run itself.
-- $1 run.
SELECT state, exit_reason, started_at, ended_at
FROM runs
WHERE run_id = $1;
