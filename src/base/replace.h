/* Writes a file as a whole: whoever looks sees the old one or the new one, never a part. */
#ifndef HEAPTAP_BASE_REPLACE_H
#define HEAPTAP_BASE_REPLACE_H

#include "base/err.h"

#include <stddef.h>

/* Writes beside path, flushes to disk and renames; nothing is left behind on failure. A new file
 * gets the mode that the umask leaves, an old one keeps its own; a symbolic link stays one. What is
 * no regular file (a pipe, /dev/stdout) is written to as it is. ERR_NOSPACE, ERR_IO, ERR_NOMEM. */
int replace_file(const char *path, const void *bytes, size_t length, struct err *e) MUST_USE;

#endif
