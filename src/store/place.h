/* Where the SQLite file is. */
#ifndef HEAPTAP_STORE_PLACE_H
#define HEAPTAP_STORE_PLACE_H

#include "base/err.h"

/* path, or for NULL $XDG_STATE_HOME/heaptap/heaptap.db ($HOME/.local/state without the variable):
 * an owned text. ERR_DB when neither variable is set to an absolute path. */
int place_find(const char *path, char **ret_path, struct err *e) MUST_USE;
/* Makes the folders above path that are missing, mode 0700. */
int place_make_folders(const char *path, struct err *e) MUST_USE;

#endif
