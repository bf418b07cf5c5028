/* The live profile's settings. */
#ifndef HEAPTAP_COMMAND_LIVE_H
#define HEAPTAP_COMMAND_LIVE_H

#include "command/settings.h"

/* --live-profile: bytes a sample, 0 for off; whether to take over another's. ERR_USAGE. */
int live_read_settings(
    const struct settings *s, int64_t *ret_sample_every, bool *ret_steal, struct err *e) MUST_USE;

#endif
