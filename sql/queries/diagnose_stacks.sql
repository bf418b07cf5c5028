-- diagnose: the stack of each allocating line as it was recorded last, that by which most of its bytes
-- were allocated then.
-- $1 run, $4 at most so many.
SELECT target_id, source, function, url, line_number, column_number, stack
FROM (
    SELECT target_id, source, function, url, line_number, column_number, stack, seq,
           row_number() OVER (PARTITION BY target_id, source, function, url, line_number,
                              column_number ORDER BY seq DESC) AS age
    FROM allocation_sites
    WHERE run_id = $1 AND stack IS NOT NULL
) stacks
WHERE age = 1
ORDER BY seq DESC
LIMIT $4;
