/* Values of settings as anybody may see them. */
#ifndef HEAPTAP_COMMAND_SECRETS_H
#define HEAPTAP_COMMAND_SECRETS_H

#include "command/settings.h"

/* The value in force with *** in place of what may be secret in it: passwords in URLs and
 * connection strings, values of headers, bodies, query strings. A setting that was given several
 * times has all its values, with commas between them. Owned by the caller; NULL: unset, or out of
 * memory. */
char *secrets_hidden(const struct settings *s, enum setting_id id);

#endif
