/* Writes rows of the record into SQLite: one prepared INSERT a table. The caller holds the
 * transaction. */
#ifndef HEAPTAP_STORE_RECORD_H
#define HEAPTAP_STORE_RECORD_H

#include "store/lite.h"
#include "store/packet.h"

struct record;

/* db is borrowed until record_free. */
int record_new(struct lite *db, struct record **ret_record, struct err *e) MUST_USE;
void record_free(struct record *r); /* NULL is fine */

/* Inserts a row with its seq, or a new state: then seq is the next of its table in the run, values
 * that are null repeat those of the state before, and counters add to them. */
int record_write(struct record *r, const struct packet *p, struct err *e) MUST_USE;
/* The same for a state in a struct of store.h. */
int record_write_state(struct record *r, enum store_table table, const char *run_id,
    const void *row, struct err *e) MUST_USE;

#endif
