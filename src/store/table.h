/* How the structs of store.h lie in the tables: one description that the journal writes by and the
 * shipper reads by. */
#ifndef HEAPTAP_STORE_TABLE_H
#define HEAPTAP_STORE_TABLE_H

#include "store/store.h"

enum store_kind {
    STORE_INTEGER, /* int64_t, STORE_NO_INTEGER is NULL */
    STORE_COUNTER, /* the same; a new state adds to what the one before said */
    STORE_REAL,    /* double, NAN is NULL */
    STORE_MB,      /* double in bytes, stored as MB */
    STORE_TEXT,    /* const char * */
    STORE_TIME,    /* int64_t wall-clock milliseconds, stored as ISO 8601 text; 0 is NULL */
};

struct store_column {
    const char *name;
    enum store_kind kind;
    size_t offset; /* in the struct */
};

struct store_table_info {
    const char *name;      /* what users read */
    const char *rows_name; /* the table that rows go into: the same, or its _states table */
    const char *id_column; /* of a _states table: which object of the run; NULL for runs and rows */
    bool is_states;
    const struct store_column *columns; /* behind run_id and seq, which every table begins with */
    size_t column_count;
    size_t row_size;
    size_t lost_offset; /* in struct store_run: the table's loss counter; 0 where there is none */
};

extern const struct store_table_info store_tables[STORE_TABLES];

#define STORE_COLUMNS_MAX 40 /* more than any table has; table.c asserts it */

#endif
