-- What stands in the search_path: ours, a memory_metrics of any kind, and whether we may read.
SELECT to_regclass('heaptap_migrations') IS NOT NULL,
       to_regclass('memory_metrics') IS NOT NULL,
       coalesce(has_table_privilege(to_regclass('heaptap_migrations'), 'SELECT'), false);
