/* JSON answers: thin helpers that keep integers exact and text valid. */
#include "show/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

/* Adds item (taken) to `to`; an item without `to` is the root. */
static cJSON *place(cJSON *to, const char *key, cJSON *item, int *rc)
{
    if (!item)
        *rc = ERR_NOMEM;
    if (!item || !to)
        return item;
    cJSON_bool ok =
        cJSON_IsArray(to) ? cJSON_AddItemToArray(to, item) : cJSON_AddItemToObjectCS(to, key, item);
    if (ok)
        return item;
    cJSON_Delete(item);
    *rc = ERR_NOMEM;
    return NULL;
}

cJSON *show_json_object(cJSON *to, const char *key, int *rc)
{
    return *rc ? NULL : place(to, key, cJSON_CreateObject(), rc);
}

cJSON *show_json_array(cJSON *to, const char *key, int *rc)
{
    return *rc ? NULL : place(to, key, cJSON_CreateArray(), rc);
}

cJSON *show_json_integer(cJSON *to, const char *key, int64_t value, int *rc)
{
    char digits[TEXT_SHORT];
    if (*rc)
        return NULL;
    if (value >= INT32_MIN && value <= INT32_MAX)
        return place(to, key, cJSON_CreateNumber((double)value), rc);
    snprintf(digits, sizeof digits, "%" PRId64, value);
    return place(to, key, cJSON_CreateRaw(digits), rc);
}

cJSON *show_json_number(cJSON *to, const char *key, double value, int *rc)
{
    if (*rc)
        return NULL;
    if (fabs(value) < 0x1p53 && value == floor(value))
        return show_json_integer(to, key, (int64_t)value, rc);
    return place(to, key, isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull(), rc);
}

cJSON *show_json_bool(cJSON *to, const char *key, bool value, int *rc)
{
    return *rc ? NULL : place(to, key, cJSON_CreateBool(value), rc);
}

cJSON *show_json_null(cJSON *to, const char *key, int *rc)
{
    return *rc ? NULL : place(to, key, cJSON_CreateNull(), rc);
}

cJSON *show_json_text(cJSON *to, const char *key, const char *text, size_t length, int *rc)
{
    if (*rc)
        return NULL;
    struct buf storable = buf_new(4 * length + 1);
    cJSON *item = NULL;
    *rc = text_add_storable(&storable, text, length);
    if (*rc == 0)
        item = place(to, key, cJSON_CreateString(storable.data ? storable.data : ""), rc);
    buf_free(&storable);
    return item;
}

cJSON *show_json_word(cJSON *to, const char *key, const char *text, int *rc)
{
    return text ? show_json_text(to, key, text, strlen(text), rc) : show_json_null(to, key, rc);
}

cJSON *show_json_time(cJSON *to, const char *key, int64_t wall_ms, int *rc)
{
    char iso[CLOCK_ISO_SIZE];
    return show_json_word(to, key, clock_iso(iso, wall_ms), rc);
}

void show_json_add(cJSON *to, const char *key, cJSON *item, int *rc)
{
    if (*rc == 0)
        (void)place(to, key, item, rc);
    else
        cJSON_Delete(item);
}

/* cJSON indents with tabs, which put a deep answer off the screen. Within texts they are escaped.
 */
static int add_with_blanks(struct buf *out, const char *text)
{
    int rc = 0;
    for (size_t length; *text && rc == 0; text += length) {
        length = strcspn(text, "\t");
        rc = buf_add(out, text, length);
        if (rc == 0 && text[length] == '\t') {
            bool behind_key = length > 0 && text[length - 1] == ':';
            rc = buf_add_text(out, behind_key ? " " : "  ");
            length++;
        }
    }
    return rc;
}

static int print(const struct show_out *o, cJSON *root, int rc, bool indent, struct err *e)
{
    char *text = NULL;
    struct buf safe = {0}, blanks = {0};
    if (rc == 0) {
        text = indent ? cJSON_Print(root) : cJSON_PrintUnformatted(root);
        rc = text ? 0 : ERR_NOMEM;
    }
    if (rc == 0) {
        blanks = buf_new(2 * strlen(text) + 2);
        rc = add_with_blanks(&blanks, text);
    }
    if (rc == 0) {
        safe = buf_new(3 * blanks.length + 2); /* two bytes become six at most */
        rc = text_add_visible_json(&safe, blanks.data ? blanks.data : "", blanks.length);
    }
    if (rc == 0) {
        fputs(safe.data, o->file);
        fputc('\n', o->file);
    } else {
        err_set(e, rc, "out of memory");
    }
    buf_free(&safe);
    buf_free(&blanks);
    cJSON_free(text);
    cJSON_Delete(root);
    return rc;
}

int show_json(const struct show_out *o, cJSON *root, int rc, struct err *e)
{
    return print(o, root, rc, o->tty, e);
}

int show_json_line(const struct show_out *o, cJSON *root, int rc, struct err *e)
{
    rc = print(o, root, rc, false, e);
    if (rc == 0)
        (void)fflush(o->file); /* show_out_finish tells */
    return rc;
}
