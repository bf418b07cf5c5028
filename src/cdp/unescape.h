/* The text of a JSON string: escapes to bytes, at memory speed.
 *
 * Snapshot chunks arrive as one long JSON string each; this turns them into the file's bytes
 * without a tree and without a copy in between. */
#ifndef HEAPTAP_CDP_UNESCAPE_H
#define HEAPTAP_CDP_UNESCAPE_H

#include "base/err.h"

#include <stddef.h>

#define UNESCAPE_MIN_ROOM 4 /* bytes that one character takes at the most, in UTF-8 */

/* Decodes in[0..length), which stands between the quotes of a JSON string, into out, until the
 * input is used up or out has less than UNESCAPE_MIN_ROOM bytes left. Call again with the rest
 * until consumed equals length: no state is kept, because it stops only between characters.
 *
 * \uXXXX becomes UTF-8, a pair of surrogates one character. Bytes above 0x7f pass as they are.
 * ERR_PROTOCOL, with the position in in: a bare quote or control character, an unknown or cut-off
 * escape, a surrogate without its partner (no bytes could stand for it in a file of UTF-8; inner
 * escapes such as \\ud83d are plain text here and unharmed). capacity must be at least
 * UNESCAPE_MIN_ROOM. */
int unescape(const char *in, size_t length, char *out, size_t capacity, size_t *ret_consumed,
    size_t *ret_produced, struct err *e) MUST_USE;

/* The ways that this machine has, for tests and benchmarks; unescape uses the last. */
enum unescape_way { UNESCAPE_SCALAR, UNESCAPE_SSE2, UNESCAPE_AVX2 };
bool unescape_way_exists(enum unescape_way way);
int unescape_by(enum unescape_way way, const char *in, size_t length, char *out, size_t capacity,
    size_t *ret_consumed, size_t *ret_produced, struct err *e) MUST_USE;

#endif
