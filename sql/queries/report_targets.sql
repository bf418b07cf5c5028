-- report: the newest targets of a run, oldest first.
-- $1 run, $4 at most so many.
SELECT target_id, kind, address, title, parent_target_id, pid, runtime, runtime_version, v8_version,
       arch, started_at, attached_at, gone_at, state, reason, total
FROM (
    SELECT t.*, count(*) OVER () AS total,
           (SELECT min(s.created_at) FROM target_states s
            WHERE s.run_id = t.run_id AND s.target_id = t.target_id) AS attached_at
    FROM targets t
    WHERE t.run_id = $1
    ORDER BY t.target_id DESC
    LIMIT $4
) newest
ORDER BY target_id;
