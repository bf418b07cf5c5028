-- metrics classes: which classes grew from the first to the last analysed snapshot.
-- $1 run (NULL: all), $2 class (NULL: all), $4 at most so many rows.
SELECT target_id, class, key, first_count, last_count, count_growth,
       first_retained, last_retained, retained_growth, self_growth
FROM class_growth
WHERE ($1 IS NULL OR run_id = $1) AND ($2 IS NULL OR class = $2)
ORDER BY retained_growth DESC, count_growth DESC, class
LIMIT $4;
