/* What heaptap itself puts into a target: its scripts have URLs that begin with OWN_URL, so that
 * their objects and lines can be told from the program's. */
#ifndef HEAPTAP_BASE_OWN_H
#define HEAPTAP_BASE_OWN_H

#include <stdbool.h>
#include <string.h>

#define OWN_URL "heaptap:"
/* The end of a script's text. */
#define OWN_SOURCE_URL(name) "\n//# sourceURL=" OWN_URL name

static inline bool own_is_url(const char *url)
{
    return url && strncmp(url, OWN_URL, sizeof OWN_URL - 1) == 0;
}

#endif
