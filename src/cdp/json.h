/* Reading of cJSON trees that came from outside: each access is checked, and a failure names the
 * path, such as "Runtime.evaluate.result.type is a number, not a string". The generated decoders
 * (protocol/generate.c) consist of these calls.
 *
 * All return 0, or ERR_PROTOCOL. ret_present NULL means that the field must be there; otherwise it
 * tells whether it was, and an absent field leaves *ret as it is. null counts as absent, but for
 * json_any. Texts and trees are borrowed from the message. */
#ifndef HEAPTAP_CDP_JSON_H
#define HEAPTAP_CDP_JSON_H

#include "base/err.h"

#include <cjson/cJSON.h>
#include <stddef.h>

/* Where we are: a chain of names towards the root, on the stack. */
struct json_at {
    const struct json_at *up; /* NULL at the root */
    const char *name;
};

enum json_kind { JSON_ANY, JSON_OBJECT, JSON_STRING, JSON_BOOLEAN, JSON_NUMBER, JSON_INTEGER };

int json_is_object(const struct json_at *at, const cJSON *item, struct err *e) MUST_USE;
int json_string(const struct json_at *at, const cJSON *object, const char *key, const char **ret,
    bool *ret_present, struct err *e) MUST_USE;
int json_boolean(const struct json_at *at, const cJSON *object, const char *key, bool *ret,
    bool *ret_present, struct err *e) MUST_USE;
int json_number(const struct json_at *at, const cJSON *object, const char *key, double *ret,
    bool *ret_present, struct err *e) MUST_USE;
/* A whole number that a double holds exactly: at most 2^53 on either side. */
int json_integer(const struct json_at *at, const cJSON *object, const char *key, int64_t *ret,
    bool *ret_present, struct err *e) MUST_USE;
int json_any(const struct json_at *at, const cJSON *object, const char *key, const cJSON **ret,
    bool *ret_present, struct err *e) MUST_USE;
int json_object(const struct json_at *at, const cJSON *object, const char *key, const cJSON **ret,
    bool *ret_present, struct err *e) MUST_USE;
/* An array whose items are all of one kind. */
int json_array(const struct json_at *at, const cJSON *object, const char *key, enum json_kind items,
    const cJSON **ret, bool *ret_present, struct err *e) MUST_USE;

/* As ret_present: the field may be absent, and nobody asks whether it was. */
#define JSON_OPTIONAL (&(bool){false})

/* ---- what the generated encoders consist of: false only when memory is out ---- */
bool json_put_string(cJSON *object, const char *key, const char *value);
bool json_put_boolean(cJSON *object, const char *key, bool value);
bool json_put_number(cJSON *object, const char *key, double value);
bool json_put_integer(cJSON *object, const char *key, int64_t value);
bool json_put_copy(cJSON *object, const char *key, const cJSON *value);

/* ---- whole texts ---- */
#define JSON_DEPTH_MAX 900       /* cJSON recurses; its own limit is 1000 */
#define JSON_ITEMS_MAX (4 << 20) /* cJSON takes 64 bytes an item and more: 256 MB for a tree */

/* Parses a whole text after bounding what the tree may cost: nesting, number of items, and valid
 * UTF-8. ERR_PROTOCOL or ERR_NOMEM; the tree is the caller's (cJSON_Delete). */
int json_parse(const char *text, size_t length, cJSON **ret_tree, struct err *e) MUST_USE;

/* The tree as text to send. ERR_USAGE when it would not be valid JSON in valid UTF-8 (raw items,
 * broken texts). The text is the caller's (free). */
int json_print(const cJSON *tree, char **ret_text, size_t *ret_length, struct err *e) MUST_USE;

#endif
