/* Rows of the record into SQLite. The statements are put together from the constant descriptions in
 * table.c; every value is a parameter. */
#include "store/record.h"
#include "base/clock.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SQL_MAX     16384              /* a table's two lists of columns of at most 30 bytes each */
#define ESCAPED_MAX ((size_t)64 << 20) /* four times TEXT_MAX_BYTES of packet.c */

struct record {
    struct lite *db; /* borrowed */
    struct lite_statement *insert[STORE_TABLES];
};

static int add_column_list(struct buf *sql, const struct store_table_info *info)
{
    int rc = buf_addf(sql, "INSERT INTO %s (run_id, seq", info->rows_name);
    for (size_t i = 0; i < info->column_count && rc == 0; i++)
        rc = buf_addf(sql, ", %s", info->columns[i].name);
    return rc == 0 ? buf_add_text(sql, ")") : rc;
}

static int add_row_values(struct buf *sql, const struct store_table_info *info)
{
    int rc = buf_add_text(sql, " VALUES (?1, ?2");
    for (size_t i = 0; i < info->column_count && rc == 0; i++)
        rc = buf_addf(sql, ", ?%zu", i + 3);
    return rc == 0 ? buf_add_text(sql, ")") : rc;
}

/* The state before is the left side of a join, so that a first state has one row too. */
static int add_state_values(struct buf *sql, const struct store_table_info *info)
{
    int rc =
        buf_addf(sql, " SELECT ?1, coalesce((SELECT max(seq) FROM %s WHERE run_id = ?1), 0) + 1",
            info->rows_name);
    size_t id_parameter = 0;
    for (size_t i = 0; i < info->column_count && rc == 0; i++) {
        const struct store_column *column = &info->columns[i];
        if (info->id_column && strcmp(info->id_column, column->name) == 0)
            id_parameter = i + 3;
        rc = buf_addf(sql,
            column->kind == STORE_COUNTER ? ", coalesce(p.%2$s, 0) + coalesce(?%1$zu, 0)"
                                          : ", coalesce(?%1$zu, p.%2$s)",
            i + 3, column->name);
    }
    if (rc == 0)
        rc = buf_addf(
            sql, " FROM (SELECT 1) LEFT JOIN (SELECT * FROM %s WHERE run_id = ?1", info->rows_name);
    if (rc == 0 && id_parameter)
        rc = buf_addf(sql, " AND %s = ?%zu", info->id_column, id_parameter);
    return rc == 0 ? buf_add_text(sql, " ORDER BY seq DESC LIMIT 1) p ON 1") : rc;
}

static int prepare_insert(struct record *r, enum store_table table, struct err *e)
{
    const struct store_table_info *info = &store_tables[table];
    struct buf sql = buf_new(SQL_MAX);
    int rc = add_column_list(&sql, info);
    if (rc == 0)
        rc = info->is_states ? add_state_values(&sql, info) : add_row_values(&sql, info);
    if (rc != 0)
        rc = err_set(e, rc, "no memory for a statement");
    else
        rc = lite_prepare(r->db, sql.data, &r->insert[table], e);
    buf_free(&sql);
    return rc;
}

int record_new(struct lite *db, struct record **ret_record, struct err *e)
{
    int rc = 0;
    struct record *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "no memory for the journal");
    r->db = db;
    for (int table = 0; table < STORE_TABLES && rc == 0; table++)
        rc = prepare_insert(r, (enum store_table)table, e);
    if (rc == 0) {
        *ret_record = r;
        r = NULL;
    }
    record_free(r);
    return rc;
}

void record_free(struct record *r)
{
    if (!r)
        return;
    for (int table = 0; table < STORE_TABLES; table++)
        lite_finalize(r->insert[table]);
    free(r);
}

/* Binds a text as valid UTF-8; an escaped copy goes to *ret_copy, which must live until the row is
 * written. */
static int bind_text(struct lite_statement *s, int parameter, const struct packet_value *value,
    char **ret_copy, struct err *e)
{
    if (text_utf8_valid(value->text, value->length) && !memchr(value->text, '\0', value->length)) {
        lite_bind_text(s, parameter, value->text, value->length);
        return 0;
    }
    struct buf escaped = buf_new(ESCAPED_MAX);
    int rc = text_add_storable(&escaped, value->text, value->length);
    if (rc != 0) {
        buf_free(&escaped);
        return err_set(e, rc, "no memory to escape a text of %zu bytes", value->length);
    }
    size_t length = escaped.length;
    *ret_copy = buf_take(&escaped);
    lite_bind_text(s, parameter, *ret_copy, length);
    return 0;
}

int record_write(struct record *r, const struct packet *p, struct err *e)
{
    const struct store_table_info *info = &store_tables[p->table];
    struct lite_statement *s = r->insert[p->table];
    char *copies[STORE_COLUMNS_MAX] = {0};
    char times[STORE_COLUMNS_MAX][CLOCK_ISO_SIZE];
    int rc = 0;
    lite_bind_string(s, 1, p->run_id);
    if (!info->is_states)
        lite_bind_integer(s, 2, p->seq);
    for (size_t i = 0; i < p->value_count && rc == 0; i++) {
        const struct packet_value *value = &p->values[i];
        int parameter = (int)i + 3;
        if (value->type == PACKET_NULL)
            lite_bind_null(s, parameter);
        else if (info->columns[i].kind == STORE_TIME)
            lite_bind_string(s, parameter, clock_iso(times[i], value->integer));
        else if (value->type == PACKET_INTEGER)
            lite_bind_integer(s, parameter, value->integer);
        else if (value->type == PACKET_REAL)
            lite_bind_real(s, parameter, value->real);
        else
            rc = bind_text(s, parameter, value, &copies[i], e);
    }
    if (rc == 0)
        rc = lite_run(s, e);
    lite_reset(s);
    for (size_t i = 0; i < p->value_count; i++)
        free(copies[i]);
    if (rc != 0)
        err_context(e, "a row of %s", info->name);
    return rc;
}

int record_write_state(
    struct record *r, enum store_table table, const char *run_id, const void *row, struct err *e)
{
    struct packet p = {.table = table, .run_id = run_id};
    p.value_count = store_tables[table].column_count;
    packet_read_row(table, row, p.values);
    return record_write(r, &p, e);
}
