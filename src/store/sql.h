/* The SQL files that the build put into the program (sql/embed.c). */
#ifndef HEAPTAP_STORE_SQL_H
#define HEAPTAP_STORE_SQL_H

struct sql_file {
    const char *name; /* path under sql/, such as "sqlite/0001_record.sql" */
    const char *text;
};

/* Sorted by name within a folder; ended by a NULL name. */
extern const struct sql_file sql_files[];

/* The text of a file, NULL if there is none of that name. */
const char *sql_find(const char *name);

#endif
