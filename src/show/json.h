/* JSON answers on cJSON: integers exact, text always valid, memory checked once at the end.
 *
 *      int rc = 0;
 *      cJSON *root = show_json_object(NULL, NULL, &rc);
 *      show_json_word(root, "schema", "heaptap.summary/1", &rc);
 *      show_json_integer(root, "nodes", nodes, &rc);
 *      rc = show_json(&out, root, rc, e);     (prints and frees root)
 *
 * Each function does nothing when *rc is set, and sets it to ERR_NOMEM when memory is out. `to` is
 * an object, an array (then key is NULL) or NULL for a root. Keys are static text. */
#ifndef HEAPTAP_SHOW_JSON_H
#define HEAPTAP_SHOW_JSON_H

#include "show/out.h"

#include <stdint.h>

#include <cjson/cJSON.h>

/* Each returns the new item, borrowed from `to` (owned by the caller without one), or NULL. */
cJSON *show_json_object(cJSON *to, const char *key, int *rc);
cJSON *show_json_array(cJSON *to, const char *key, int *rc);
/* Every int64 in plain digits: never 1e+15, which parsers of integers refuse. */
cJSON *show_json_integer(cJSON *to, const char *key, int64_t value, int *rc);
/* null for NaN and infinities, which JSON cannot say. */
cJSON *show_json_number(cJSON *to, const char *key, double value, int *rc);
cJSON *show_json_bool(cJSON *to, const char *key, bool value, int *rc);
cJSON *show_json_null(cJSON *to, const char *key, int *rc);
/* Bytes that are not valid UTF-8 come out as \xNN. */
cJSON *show_json_text(cJSON *to, const char *key, const char *text, size_t length, int *rc);
/* The same up to the NUL; null for NULL. */
cJSON *show_json_word(cJSON *to, const char *key, const char *text, int *rc);
/* Wall-clock milliseconds as ISO 8601 UTC. */
cJSON *show_json_time(cJSON *to, const char *key, int64_t wall_ms, int *rc);
/* Puts item (taken, freed on failure) into to. */
void show_json_add(cJSON *to, const char *key, cJSON *item, int *rc);

/* Prints root (taken) and a newline: on one line, or indented on a terminal. rc as gathered above:
 * a failure is turned into words here. */
int show_json(const struct show_out *o, cJSON *root, int rc, struct err *e) MUST_USE;
/* The same, always on one line, flushed: an object of JSON Lines. */
int show_json_line(const struct show_out *o, cJSON *root, int rc, struct err *e) MUST_USE;

#endif
