-- The run whose id begins with $1; for 'latest' the one that began last.
SELECT run_id FROM runs
WHERE $1 = 'latest' OR CAST(run_id AS text) LIKE $1 || '%'
ORDER BY started_at DESC, run_id
LIMIT 2;
