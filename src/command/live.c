/* The live profile's settings. */
#include "command/live.h"

#include "base/text.h"

#include <string.h>

#define SAMPLE_DEFAULT "512KB"
#define SAMPLE_MIN     1024 /* a sample for nearly every object: it would only cost */

int live_read_settings(
    const struct settings *s, int64_t *ret_sample_every, bool *ret_steal, struct err *e)
{
    const char *text = settings_text(s, SET_LIVE_PROFILE);
    int64_t every = 0;
    bool steal = strcmp(text, "steal") == 0;
    if (strcmp(text, "off") != 0) {
        int rc = text_parse_size(steal ? SAMPLE_DEFAULT : text, &every, e);
        if (rc)
            return err_context(e, "--live-profile (a size, off or steal)");
        if (every < SAMPLE_MIN)
            return err_set(e, ERR_USAGE, "--live-profile %s: at least 1KB", text);
    }
    *ret_sample_every = every;
    *ret_steal = steal;
    return 0;
}
