-- Runs for the destination ?1 behind run ?2 that have something to ship, with who owns and who has
-- claimed them.
SELECT r.run_id, r.ended_at, r.owner_boot_id, r.host, r.owner_pid, r.owner_start,
       c.owner_boot_id, c.host, c.owner_pid, c.owner_start
FROM runs r
LEFT JOIN ship_claims c ON c.run_id = r.run_id
WHERE r.destination = ?1 AND r.run_id > ?2
ORDER BY r.run_id;
